// Rows of iq4_xs blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Iq4Xs } from './blocks/iq4_xs';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackIq4Xs(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Iq4Xs>(dst, src, nRows, nIn);
}
