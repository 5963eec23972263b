// y[t, o] = sum_k x[t, k] * w[o, k] with q2_k weights, activations quantized.    Twin: src/ops/linear_q8.ts

import { linearGrouped } from './blocks/grouped';
import { Q2K } from './blocks/q2_k';

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ2KQ8(
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
  linearGrouped<Q2K>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}
