// y[t, o] = sum_k x[t, k] * w[o, k] with q4_1 weights unpacked exactly.    Twin: src/ops/linear.ts

import { linearGroupedF32 } from './blocks/grouped_f32';
import { Q41 } from './blocks/q4_1';

/** See Linear in src/exec/wasm/kernels.ts. */
export function linearQ41F32(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  linearGroupedF32<Q41>(y, yStride, x, xStride, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}
