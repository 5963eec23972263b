// Rows of q4_k blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q4K } from './blocks/q4_k';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ4K(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q4K>(dst, src, nRows, nIn);
}
