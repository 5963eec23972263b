// iq4_xs in panels. A record, 4 rows x 256 columns:    Blocks in the file: src/quant/iq4_xs.ts
//   8 x 4 x i8     scales, [32 columns][row], their offset of 32 taken off
//   4 x f32        d
//   8 x 64 bytes   codes of 32 columns, packed as in codes4.ts
import { CHUNK_4_BITS } from './codes4';
import { startAt } from './dots';
import { packNibbles } from './file_codes';
import { GroupedSource, packScale } from './grouped_repack';
import { addIq4, IQ4_LOG2_HIGH_OFFSET, IQ4_PLANES, unpackIq4, unpackIq4Values } from './iq4_values';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';

const SCALES: usize = 0;
const D: usize = 32;
const CODES: usize = 48;

export class Iq4Xs implements GroupedSource {
  columns(): i32 {
    return SUPER_BLOCK;
  }

  activationBytes(): usize {
    return SUPER_ACTIVATION_BYTES;
  }

  activationScaleAt(): usize {
    return SUPER_SCALE_AT;
  }

  recordBytes(): usize {
    return 560;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  addChunk(total: v128, record: usize, j: usize, at: usize, a: usize, q: usize): v128 {
    return addIq4(total, this.start(q, j, 1), this.scales(record, j), at, a);
  }

  unit(): usize {
    return 32;
  }

  scales(record: usize, u: usize): v128 {
    return v128.load8x8_s(record + (u << 2), SCALES);
  }

  start(q: usize, u: usize, plane: usize): v128 {
    if (plane === 0) return i32x4.splat(0);
    const first = startAt(q + (u << 3), IQ4_LOG2_HIGH_OFFSET);
    return i16x8.add(first, startAt(q + (u << 3) + 4, IQ4_LOG2_HIGH_OFFSET));
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
    return v128.load(record + D);
  }

  dmin(_record: usize): v128 {
    return i32x4.splat(0);
  }

  fileBytes(): usize {
    return 136;
  }

  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const at = block + 8 + (j << 4);
    packNibbles(to + (row << 2), at, at, 0, 4);
  }

  packHead(record: usize, row: usize, block: usize): bool {
    for (let j: usize = 0; j < 8; j++) store<i8>(record + (j << 2) + row, scaleOf(block, j), SCALES);
    return packScale(record + D + (row << 2), block);
  }
}

/** s[j] - 32: its low four bits are a nibble from byte 4 on, its upper two one of eight pairs in bytes 2 and 3. */
function scaleOf(block: usize, j: usize): i8 {
  const low = (<i32>load<u8>(block + (j >> 1), 4) >> <i32>((j & 1) << 2)) & 0x0f;
  const high = (<i32>load<u16>(block, 2) >> <i32>(j << 1)) & 3;
  return <i8>((low | (high << 4)) - 32);
}
