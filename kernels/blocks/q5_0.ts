// q5_0 in panels. A record, 8 rows x 32 columns: 8 f16 d, then codes as in codes5.ts.
// Blocks in the file: src/quant/q5_0.ts
import { CHUNK_5_BITS, dotFirstOf5Bits, dotLastOf5Bits, fiveBitsOfBytes, unpack5Bits } from './codes5';
import { packQ5 } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT, startOf } from './q8_record';
import { halves, ones } from './record_parts';

const D: usize = 0;
const CODES: usize = 16;
/** Codes are stored as code + 16. */
const LOG2_OFFSET = 4;

export class Q50 implements GroupedSource {
  columns(): i32 {
    return BLOCK_SIZE;
  }

  activationBytes(): usize {
    return ACTIVATION_BYTES;
  }

  activationScaleAt(): usize {
    return SCALE_AT;
  }

  recordBytes(): usize {
    return 176;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_5_BITS;
  }

  /** |sum| <= 16 * 16 * 127 < 2^15 in each of a row's two lanes, since a code counts as code - 16. */
  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotFirstOf5Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotLastOf5Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return false;
  }

  mask(): v128 {
    return fiveBitsOfBytes();
  }

  unit(): usize {
    return 32;
  }

  scales(_record: usize, _u: usize): v128 {
    return ones();
  }

  start(q: usize, _u: usize, _plane: usize): v128 {
    return startOf(q, LOG2_OFFSET);
  }

  planes(): usize {
    return 1;
  }

  unpack(to: usize, step: usize, at: usize, _plane: usize): void {
    unpack5Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack5Bits(to, step, at);
  }

  offset(): i32 {
    return 1 << LOG2_OFFSET;
  }

  hasMins(): bool {
    return false;
  }

  minSums(_record: usize, _q: usize, _half: usize): v128 {
    return i32x4.splat(0);
  }

  mins(_record: usize, _u: usize): v128 {
    return i32x4.splat(0);
  }

  d(record: usize, half: usize): v128 {
    return halves(record + D + (half << 3));
  }

  dmin(_record: usize, _half: usize): v128 {
    return i32x4.splat(0);
  }

  fileBytes(): usize {
    return 22;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packQ5(to + (row << 2), block + 6, load<u32>(block, 2));
  }

  packHead(record: usize, row: usize, block: usize): bool {
    return packHalf(record + D + (row << 1), block);
  }
}
