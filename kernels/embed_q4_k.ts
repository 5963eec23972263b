// y[t] = row ids[t] of a packed q4_k matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q4K } from './blocks/q4_k';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ4K(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q4K>(y, ids, nTokens, w, nIn);
}
