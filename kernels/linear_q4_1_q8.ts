// y[t, o] = sum_k x[t, k] * w[o, k] with q4_1 weights, activations quantized.    Twin: src/ops/linear_q8.ts

import { linearGrouped } from './blocks/grouped';
import { Q41 } from './blocks/q4_1';

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ41Q8(
  y: usize,
  yStride: i32,
  q: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  linearGrouped<Q41>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}
