// y[t] = row ids[t] of a packed q6_k matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q6K } from './blocks/q6_k';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ6K(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q6K>(y, ids, nTokens, w, nIn);
}
