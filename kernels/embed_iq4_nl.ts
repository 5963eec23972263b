// y[t] = row ids[t] of a packed iq4_nl matrix, unpacked exactly.    Twin: src/ops/embed.ts

import { embedGrouped } from './blocks/grouped_f32';
import { Iq4Nl } from './blocks/iq4_nl';

/** See Embed in src/exec/wasm/kernels.ts. */
export function embedIq4Nl(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  embedGrouped<Iq4Nl>(y, ids, nTokens, w, nIn);
}
