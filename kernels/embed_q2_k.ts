// y[t] = row ids[t] of a packed q2_k matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q2K } from './blocks/q2_k';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ2K(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q2K>(y, ids, nTokens, w, nIn);
}
