// Rows of blocks, as a file has them, into the records of grouped.ts.    Layout: src/exec/wasm/layout.ts
import { f16ToF32 } from '../lanes';
import { CHUNK, GroupedFormat, PANEL_ROWS, RECORD_ROWS } from './grouped_format';

/** How blocks lie in a file. */
export interface GroupedSource extends GroupedFormat {
  fileBytes(): usize;
  /** The codes of chunk j of the block into the chunk `to`, as the row `row` of its record. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void;
  /** Its scales and minima into the record. False when one is not finite. */
  packHead(record: usize, row: usize, block: usize): bool;
}

/** Repack of a format: see src/exec/wasm/kernels.ts. Rows missing in the last panel become zeros. */
export function repackGrouped<P extends GroupedSource>(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const format = changetype<P>(0);
  const nBlocks = nIn / format.columns();
  const rowsBytes = <usize>nBlocks * format.recordBytes();
  let finite = true;
  const nPadded = (nRows + PANEL_ROWS - 1) & ~(PANEL_ROWS - 1);
  for (let row = 0; row < nPadded; row += RECORD_ROWS, dst += rowsBytes) {
    const n = min(RECORD_ROWS, nRows - row);
    if (n < RECORD_ROWS) memory.fill(dst, 0, rowsBytes); // their scales are 0
    for (let r = 0; r < n; r++) {
      let record = dst;
      for (let b = 0; b < nBlocks; b++, src += format.fileBytes(), record += format.recordBytes()) {
        for (let j: usize = 0; j < <usize>(format.columns() / CHUNK); j++) {
          format.packChunk(record + format.codesAt() + j * format.chunkBytes(), <usize>r, src, j);
        }
        if (!format.packHead(record, <usize>r, src)) finite = false;
      }
    }
  }
  return finite ? 1 : 0;
}

/** Stores an f16. False when it is an infinity or NaN. */
export function packHalf(to: usize, from: usize): bool {
  const bits = <u32>load<u16>(from);
  store<u16>(to, <u16>bits);
  return (bits & 0x7c00) !== 0x7c00;
}

/**
 * Stores an f16 as f32, once: the scales of super-blocks are small, about 2^-10 of the largest weight and less, so many are subnormal. Where
 * all were, decoding them at every token took about a third of the time (docs/kernels.md).
 * False when it is an infinity or NaN.
 */
export function packScale(to: usize, from: usize): bool {
  store<f32>(to, f16ToF32(load<i16>(from)));
  return (load<u16>(from) & 0x7c00) !== 0x7c00;
}
