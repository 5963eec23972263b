// Rows of q5_k blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q5K } from './blocks/q5_k';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ5K(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q5K>(dst, src, nRows, nIn);
}
