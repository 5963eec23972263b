// y[t] = row ids[t] of a packed mxfp4 matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Mxfp4 } from './blocks/mxfp4';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedMxfp4(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Mxfp4>(y, ids, nTokens, w, nIn);
}
