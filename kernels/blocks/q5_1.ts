// q5_1 in panels. A record, 4 rows x 32 columns: codes as in codes5.ts, then 4 f16 d and 4 f16 m.
// Blocks in the file: src/quant/q5_1.ts
//
// w = d * c + m is d * c - m * -1: the minimum is a scale of -1, and its sum minus the sum of the activations.
import { dotSums } from '../lanes';
import { CHUNK_5_BITS, dotFirstOf5Bits, dotLastOf5Bits, unpack5Bits } from './codes5';
import { QUAD } from './dots';
import { packQ5 } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT } from './q8_record';
import { halves, minusOnes, minusSum, ones } from './record_parts';

const D: usize = 80;
const DMIN: usize = 88;

export class Q51 implements GroupedSource {
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
    return 96;
  }

  codesAt(): usize {
    return 0;
  }

  chunkBytes(): usize {
    return CHUNK_5_BITS;
  }

  /** By 16 columns: |sum| <= 8 * 31 * 127 < 2^15 in each of a row's two lanes. */
  addChunk(total: v128, _record: usize, _j: usize, at: usize, a: usize, _q: usize): v128 {
    const first = dotSums(dotFirstOf5Bits(total, at, a));
    return i32x4.add(first, dotSums(dotLastOf5Bits(i32x4.splat(0), at, a + 4 * QUAD)));
  }

  unit(): usize {
    return 16;
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
    unpack5Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack5Bits(to, step, at);
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
    return 24;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packQ5(to + (row << 2), block + 8, load<u32>(block, 4));
  }

  packHead(record: usize, row: usize, block: usize): bool {
    const dIsFinite = packHalf(record + D + (row << 1), block);
    return packHalf(record + DMIN + (row << 1), block + 2) && dIsFinite;
  }
}
