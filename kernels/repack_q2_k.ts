// Rows of q2_k blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q2K } from './blocks/q2_k';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ2K(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q2K>(dst, src, nRows, nIn);
}
