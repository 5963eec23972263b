// y[t] = row ids[t] of a packed q4_1 matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q41 } from './blocks/q4_1';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ41(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q41>(y, ids, nTokens, w, nIn);
}
