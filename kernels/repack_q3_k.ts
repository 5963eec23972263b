// Rows of q3_k blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q3K } from './blocks/q3_k';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ3K(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q3K>(dst, src, nRows, nIn);
}
