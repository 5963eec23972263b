// q6_k in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/q6_k.ts
//   16 x 8 x i8    scales, [16 columns][row]
//   8 x f32        d
//   8 x 192 bytes   codes of 32 columns, see codes6.ts
import { CHUNK_6_BITS, dot16Of6Bits, pack6Bits, sixBitsOfBytes, unpack6Bits } from './codes6';
import { startAt } from './dots';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';

const SCALES: usize = 0;
const D: usize = 128;
const CODES: usize = 160;
/** Codes are stored as code + 32. */
const LOG2_OFFSET = 5;

export class Q6K implements GroupedSource {
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
    return 1696;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_6_BITS;
  }

  /** By 16 columns: |sum| <= 8 * 32 * 127 < 2^15 in each of a row's two lanes, since a code counts as code - 32. */
  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of6Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of6Bits(sums, at + 96, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return true;
  }

  mask(): v128 {
    return sixBitsOfBytes();
  }

  unit(): usize {
    return 16;
  }

  scales(record: usize, u: usize): v128 {
    return v128.load8x8_s(record + (u << 3), SCALES);
  }

  start(q: usize, u: usize, _plane: usize): v128 {
    return startAt(q + (u << 2), LOG2_OFFSET);
  }

  planes(): usize {
    return 1;
  }

  unpack(to: usize, step: usize, at: usize, _plane: usize): void {
    unpack6Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack6Bits(to, step, at);
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
    return v128.load(record + D + (half << 4));
  }

  dmin(_record: usize, _half: usize): v128 {
    return i32x4.splat(0);
  }

  fileBytes(): usize {
    return 210;
  }

  /** 128 columns have 64 bytes of low bits and 32 of high ones: two chunks, or four, one above the other. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const low = block + ((j >> 2) << 6) + ((j & 1) << 5);
    const high = block + 128 + ((j >> 2) << 5);
    const upLow = <u32>((j & 2) << 1);
    const upHigh = <u32>((j & 3) << 1);
    for (let i: usize = 0; i < 32; i += 16) {
      const q0 = code(low + i, upLow, high + i, upHigh);
      const q1 = code(low + i + 4, upLow, high + i + 4, upHigh);
      const q2 = code(low + i + 8, upLow, high + i + 8, upHigh);
      const q3 = code(low + i + 12, upLow, high + i + 12, upHigh);
      pack6Bits(to + i * 6 + (row << 2), q0, q1, q2, q3);
    }
  }

  packHead(record: usize, row: usize, block: usize): bool {
    for (let j: usize = 0; j < 16; j++) store<u8>(record + (j << 3) + row, load<u8>(block + j, 192), SCALES);
    return packScale(record + D + (row << 2), block + 208);
  }
}

/** Four codes, in bytes. */
function code(low: usize, upLow: u32, high: usize, upHigh: u32): u32 {
  return ((load<u32>(low) >> upLow) & 0x0f0f0f0f) | (((load<u32>(high) >> upHigh) & 0x03030303) << 4);
}
