// q4_1 in panels. A record, 8 rows x 32 columns: 8 f16 d, 8 f16 m, then codes as in codes4.ts.
// Blocks in the file: src/quant/q4_1.ts
//
// w = d * c + m is d * c - m * -1: the minimum is a scale of -1, and its sum minus the sum of the activations.
import { nibblesOfBytes } from '../lanes';
import { CHUNK_4_BITS, dot16Of4Bits, unpack4Bits } from './codes4';
import { packNibbles } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT } from './q8_record';
import { halves, minusOnes, minusSum, ones } from './record_parts';

const D: usize = 0;
const DMIN: usize = 16;
const CODES: usize = 32;

export class Q41 implements GroupedSource {
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
    return 160;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  /** |sum| <= 16 * 15 * 127 < 2^15 in each of a row's two lanes. */
  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of4Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of4Bits(sums, at + 64, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return false;
  }

  mask(): v128 {
    return nibblesOfBytes();
  }

  unit(): usize {
    return 32;
  }

  scales(_record: usize, _u: usize): v128 {
    return ones();
  }

  start(_q: usize, _u: usize, _plane: usize): v128 {
    return i32x4.splat(0);
  }

  planes(): usize {
    return 1;
  }

  unpack(to: usize, step: usize, at: usize, _plane: usize): void {
    unpack4Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack4Bits(to, step, at);
  }

  offset(): i32 {
    return 0;
  }

  hasMins(): bool {
    return true;
  }

  minSums(_record: usize, q: usize, _half: usize): v128 {
    return minusSum(q);
  }

  mins(_record: usize, _u: usize): v128 {
    return minusOnes();
  }

  d(record: usize, half: usize): v128 {
    return halves(record + D + (half << 3));
  }

  dmin(record: usize, half: usize): v128 {
    return halves(record + DMIN + (half << 3));
  }

  fileBytes(): usize {
    return 20;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packNibbles(to + (row << 2), block + 4, block + 4, 0, 4);
  }

  packHead(record: usize, row: usize, block: usize): bool {
    const dIsFinite = packHalf(record + D + (row << 1), block);
    return packHalf(record + DMIN + (row << 1), block + 2) && dIsFinite;
  }
}
