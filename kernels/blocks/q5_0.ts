// q5_0 in panels. A record, 4 rows x 32 columns: codes as in codes5.ts, then 4 f16 d.
// Blocks in the file: src/quant/q5_0.ts
import { dotSums } from '../lanes';
import { CHUNK_5_BITS, dotFirstOf5Bits, dotLastOf5Bits, unpack5Bits } from './codes5';
import { QUAD } from './dots';
import { packQ5 } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT, startOf } from './q8_record';
import { halves, ones } from './record_parts';

const D: usize = 80;
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
    return 88;
  }

  codesAt(): usize {
    return 0;
  }

  chunkBytes(): usize {
    return CHUNK_5_BITS;
  }

  /** |sum| <= 16 * 16 * 127 < 2^15 in each of a row's two lanes, since a code counts as code - 16. */
  addChunk(_total: v128, _record: usize, _j: usize, at: usize, a: usize, q: usize): v128 {
    return dotSums(dotLastOf5Bits(dotFirstOf5Bits(startOf(q, LOG2_OFFSET), at, a), at, a + 4 * QUAD));
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

  minSums(_record: usize, _q: usize): v128 {
    return i32x4.splat(0);
  }

  mins(_record: usize, _u: usize): v128 {
    return i32x4.splat(0);
  }

  d(record: usize): v128 {
    return halves(record + D);
  }

  dmin(_record: usize): v128 {
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
