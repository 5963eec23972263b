// y[t] = row ids[t] of a packed q5_0 matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q50 } from './blocks/q5_0';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ50(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q50>(y, ids, nTokens, w, nIn);
}
