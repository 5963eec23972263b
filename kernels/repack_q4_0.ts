// Rows of q4_0 blocks into panels of 16 rows: records of 16 rows x 32 columns.    Layout: src/exec/wasm/layout.ts

import { gatherU16x8, storeColumns4 } from './lanes';

const PANEL_ROWS = 16;
const BLOCK_SIZE = 32;
/** A block in the file: f16 scale, then 16 bytes of codes. */
const BLOCK_BYTES: usize = 18;
const CODE_BYTES: usize = 16;
/** A record: [byte / 4][row][byte % 4], then 16 scales; 4 rows at a time are turned. */
const GROUPS: usize = 4;
const STEP_BYTES: usize = 64;
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;
/** The exponent of infinities and NaN in f16. */
const NOT_FINITE: u16 = 0x7c00;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all scales are finite. */
export function repackQ40(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const nBlocks = nIn / BLOCK_SIZE;
  const rowBytes = <usize>nBlocks * BLOCK_BYTES;
  const panelBytes = <usize>nBlocks * RECORD_BYTES;
  const exponent = i16x8.splat(NOT_FINITE);
  let notFinite = i16x8.splat(0);
  for (; nRows >= PANEL_ROWS; nRows -= PANEL_ROWS, src += <usize>PANEL_ROWS * rowBytes) {
    const end = dst + panelBytes;
    for (let first = src; dst < end; first += BLOCK_BYTES, dst += RECORD_BYTES) {
      let block = first;
      const record = dst;
      for (let g: usize = 0; g < GROUPS; g++, block += 4 * rowBytes) {
        storeColumns4(
          record + (g << 4),
          STEP_BYTES,
          v128.load(block, 2),
          v128.load(block + rowBytes, 2),
          v128.load(block + 2 * rowBytes, 2),
          v128.load(block + 3 * rowBytes, 2),
        );
      }
      for (let half: usize = 0; half < 2; half++) {
        const scales = gatherU16x8(first + half * 8 * rowBytes, rowBytes);
        v128.store(record + half * 16, scales, SCALES);
        notFinite = v128.or(notFinite, i16x8.eq(v128.and(scales, exponent), exponent));
      }
    }
  }
  if (nRows > 0 && !repackLastRows(dst, src, nRows, nBlocks)) return 0;
  return v128.any_true(notFinite) ? 0 : 1;
}

/** Fewer rows than a panel has, one after another. */
function repackLastRows(dst: usize, src: usize, nRows: i32, nBlocks: i32): bool {
  memory.fill(dst, 0, <usize>nBlocks * RECORD_BYTES); // the scales of missing rows are 0
  let finite = true;
  for (let r = 0; r < nRows; r++) {
    let scale = dst + SCALES + ((<usize>r) << 1);
    let codes = dst + ((<usize>r) << 2);
    for (let b = 0; b < nBlocks; b++, src += BLOCK_BYTES, scale += RECORD_BYTES, codes += RECORD_BYTES) {
      const d = load<u16>(src);
      finite = finite && (d & NOT_FINITE) !== NOT_FINITE;
      store<u16>(scale, d);
      for (let i: usize = 0; i < CODE_BYTES; i += 4) {
        store<u32>(codes + (i << 4), load<u32>(src + i, 2));
      }
    }
  }
  return finite;
}
