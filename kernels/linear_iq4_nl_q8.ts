// y[t, o] = sum_k x[t, k] * w[o, k] with iq4_nl weights, activations quantized.    Twin: src/ops/linear_q8.ts

import { linearGrouped } from './blocks/grouped';
import { Iq4Nl } from './blocks/iq4_nl';

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearIq4NlQ8(
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
  linearGrouped<Iq4Nl>(y, yStride, q, nTokens, nIn, w, nOut, firstPanel, nPanels, scratch);
}
