// Rows of mxfp4 blocks into panels of 16 rows.    Layout: src/exec/wasm/layout.ts

import { repackGrouped } from './blocks/grouped_repack';
import { Mxfp4 } from './blocks/mxfp4';

/** See Repack in src/exec/wasm/kernels.ts. */
export function repackMxfp4(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackGrouped<Mxfp4>(dst, src, nRows, nIn);
}
