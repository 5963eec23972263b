// y[t, o] = sum_k x[t, k] * w[o, k] with iq4_nl weights unpacked exactly.    Twin: src/ops/linear.ts

import { linearGroupedF32 } from './blocks/grouped_f32';
import { Iq4Nl } from './blocks/iq4_nl';

/** See Linear in src/exec/wasm/kernels.ts. */
export function linearIq4NlF32(
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
  linearGroupedF32<Iq4Nl>(y, yStride, x, xStride, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}
