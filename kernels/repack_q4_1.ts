// Rows of q4_1 blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q41 } from './blocks/q4_1';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ41(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q41>(dst, src, nRows, nIn);
}
