// y[t] = row ids[t] of a packed q5_1 matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Q51 } from './blocks/q5_1';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedQ51(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Q51>(y, ids, nTokens, w, nIn);
}
