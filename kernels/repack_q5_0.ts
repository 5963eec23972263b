// Rows of q5_0 blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q50 } from './blocks/q5_0';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ50(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q50>(dst, src, nRows, nIn);
}
