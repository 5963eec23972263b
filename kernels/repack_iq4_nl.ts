// Rows of iq4_nl blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Iq4Nl } from './blocks/iq4_nl';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackIq4Nl(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Iq4Nl>(dst, src, nRows, nIn);
}
