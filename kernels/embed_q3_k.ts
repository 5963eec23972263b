// y[t] = row ids[t] of a packed q3_k matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q3K } from './blocks/q3_k';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ3K(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q3K>(y, ids, nTokens, w, nIn);
}
