// iq4_xs in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/iq4_xs.ts
//   8 x 8 x i8     scales, [32 columns][row], their offset of 32 taken off
//   8 x f32        d
//   8 x 128 bytes   codes of 32 columns, packed as in codes4.ts
import { nibblesOfBytes } from '../lanes';
import { CHUNK_4_BITS } from './codes4';
import { startAt } from './dots';
import { packNibbles } from './file_codes';
import { GroupedSource, packScale } from './grouped_repack';
import { dotIq4, IQ4_LOG2_HIGH_OFFSET, IQ4_PLANES, unpackIq4, unpackIq4Values } from './iq4_values';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';

const SCALES: usize = 0;
const D: usize = 64;
const CODES: usize = 96;

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
    return 1120;
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

  scales(record: usize, u: usize): v128 {
    return v128.load8x8_s(record + (u << 3), SCALES);
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

  minSums(_record: usize, _q: usize, _half: usize): v128 {
    return i32x4.splat(0);
  }

  mins(_record: usize, _u: usize): v128 {
    return i32x4.splat(0);
  }

  d(record: usize, half: usize): v128 {
    return v128.load(record + D + (half << 4));
  }

  dmin(_record: usize, _half: usize): v128 {
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
    for (let j: usize = 0; j < 8; j++) store<i8>(record + (j << 3) + row, scaleOf(block, j), SCALES);
    return packScale(record + D + (row << 2), block);
  }
}

/** s[j] - 32: its low four bits are a nibble from byte 4 on, its upper two one of eight pairs in bytes 2 and 3. */
function scaleOf(block: usize, j: usize): i8 {
  const low = (<i32>load<u8>(block + (j >> 1), 4) >> <i32>((j & 1) << 2)) & 0x0f;
  const high = (<i32>load<u16>(block, 2) >> <i32>(j << 1)) & 3;
  return <i8>((low | (high << 4)) - 32);
}
