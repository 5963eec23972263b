// iq4_nl in panels. A record, 8 rows x 32 columns: 8 f16 d, then codes packed as in codes4.ts.
// Blocks in the file: src/quant/iq4_nl.ts
import { nibblesOfBytes } from '../lanes';
import { CHUNK_4_BITS } from './codes4';
import { packNibbles } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { dotIq4, IQ4_LOG2_HIGH_OFFSET, IQ4_PLANES, unpackIq4, unpackIq4Values } from './iq4_values';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT, startOf } from './q8_record';
import { halves, ones } from './record_parts';

const D: usize = 0;
const CODES: usize = 16;

export class Iq4Nl implements GroupedSource {
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
    return 144;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  dotFirst(sums: v128, plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotIq4(sums, plane, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotIq4(sums, plane, at + 64, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return true;
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

  start(q: usize, _u: usize, plane: usize): v128 {
    return plane === 0 ? i32x4.splat(0) : startOf(q, IQ4_LOG2_HIGH_OFFSET);
  }

  planes(): usize {
    return IQ4_PLANES;
  }

  unpack(to: usize, step: usize, at: usize, plane: usize): void {
    unpackIq4(to, step, at, plane);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpackIq4Values(to, step, at);
  }

  offset(): i32 {
    return 0;
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
    return 18;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packNibbles(to + (row << 2), block + 2, block + 2, 0, 4);
  }

  packHead(record: usize, row: usize, block: usize): bool {
    return packHalf(record + D + (row << 1), block);
  }
}
