// Rows of f16 weights into panels of 8 rows, [panel][k][8].    Layout: src/exec/wasm/layout.ts
import { repackHalves } from './blocks/repack_halves';

/** The exponent of infinities and NaN. */
const NOT_FINITE: u16 = 0x7c00;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all weights are finite. */
export function repackF16(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  return repackHalves(dst, src, nRows, nIn, NOT_FINITE);
}
