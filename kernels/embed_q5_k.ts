// y[t] = row ids[t] of a packed q5_k matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q5K } from './blocks/q5_k';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ5K(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q5K>(y, ids, nTokens, w, nIn);
}
