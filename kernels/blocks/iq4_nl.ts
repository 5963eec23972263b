// iq4_nl in panels. A record, 4 rows x 32 columns: codes packed as in codes4.ts, then 4 f16 d.
// Blocks in the file: src/quant/iq4_nl.ts
import { CHUNK_4_BITS } from './codes4';
import { packNibbles } from './file_codes';
import { GroupedSource, packHalf } from './grouped_repack';
import { addIq4, IQ4_LOG2_HIGH_OFFSET, IQ4_PLANES, unpackIq4, unpackIq4Values } from './iq4_values';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT, startOf } from './q8_record';
import { halves, ones } from './record_parts';

const D: usize = 64;

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
    return 72;
  }

  codesAt(): usize {
    return 0;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  addChunk(total: v128, _record: usize, _j: usize, at: usize, a: usize, q: usize): v128 {
    return addIq4(total, this.start(q, 0, 1), ones(), at, a);
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
    return 18;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packNibbles(to + (row << 2), block + 2, block + 2, 0, 4);
  }

  packHead(record: usize, row: usize, block: usize): bool {
    return packHalf(record + D + (row << 1), block);
  }
}
