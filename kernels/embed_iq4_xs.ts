// y[t] = row ids[t] of a packed iq4_xs matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Iq4Xs } from './blocks/iq4_xs';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedIq4Xs(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Iq4Xs>(y, ids, nTokens, w, nIn);
}
