// Rows of q6_k blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Q6K } from './blocks/q6_k';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackQ6K(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Q6K>(dst, src, nRows, nIn);
}
