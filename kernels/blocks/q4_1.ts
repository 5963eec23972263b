// q4_1 in panels. A record, 4 rows x 32 columns: codes as in codes4.ts, then 4 f16 d and 4 f16 m.
// Blocks in the file: src/quant/q4_1.ts
//
// w = d * c + m is d * c - m * -1: the minimum is a scale of -1, and its sum minus the sum of the activations.
import { dotSums } from '../lanes';
import { CHUNK_4_BITS, dot16Of4Bits, unpack4Bits } from './codes4';
import { QUAD } from './dots';
import { packNibbles } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT } from './q8_record';
import { halves, minusOnes, minusSum, ones } from './record_parts';

const D: usize = 64;
const DMIN: usize = 72;

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
    return 80;
  }

  codesAt(): usize {
    return 0;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  /** |sum| <= 16 * 15 * 127 < 2^15 in each of a row's two lanes. */
  addChunk(total: v128, _record: usize, _j: usize, at: usize, a: usize, _q: usize): v128 {
    const first = dot16Of4Bits(total, at, a);
    return dotSums(dot16Of4Bits(first, at + 32, a + 4 * QUAD));
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

  minSums(_record: usize, q: usize): v128 {
    return minusSum(q);
  }

  mins(_record: usize, _u: usize): v128 {
    return minusOnes();
  }

  d(record: usize): v128 {
    return halves(record + D);
  }

  dmin(record: usize): v128 {
    return halves(record + DMIN);
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
