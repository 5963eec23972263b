// q5_k in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/q5_k.ts
//   8 x 8 bytes    scales, [32 columns][row]
//   8 x 8 bytes    minima
//   8 x f32        d
//   8 x f32        dmin
//   8 x 160 bytes   codes of 32 columns, see codes5.ts
import { CHUNK_5_BITS, dotFirstOf5Bits, dotLastOf5Bits, fiveBitsOfBytes, pack5Bits, unpack5Bits } from './codes5';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';
import { minSums32 } from './record_parts';
import { packSixBitScales } from './six_bit_scales';

const SCALES: usize = 0;
const MINS: usize = 64;
const D: usize = 128;
const DMIN: usize = 160;
const CODES: usize = 192;

export class Q5K implements GroupedSource {
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
    return 1472;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_5_BITS;
  }

  /** By 16 columns: |sum| <= 8 * 31 * 127 < 2^15 in each of a row's two lanes. */
  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotFirstOf5Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotLastOf5Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return true;
  }

  mask(): v128 {
    return fiveBitsOfBytes();
  }

  unit(): usize {
    return 16;
  }

  scales(record: usize, u: usize): v128 {
    return v128.load8x8_u(record + ((u >> 1) << 3), SCALES);
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

  minSums(record: usize, q: usize, half: usize): v128 {
    return minSums32(record + MINS, q, half);
  }

  mins(record: usize, u: usize): v128 {
    return v128.load8x8_u(record + ((u >> 1) << 3), MINS);
  }

  d(record: usize, half: usize): v128 {
    return v128.load(record + D + (half << 4));
  }

  dmin(record: usize, half: usize): v128 {
    return v128.load(record + DMIN + (half << 4));
  }

  fileBytes(): usize {
    return 176;
  }

  /** Nibbles of 32 bytes, low ones where j is even; bit j of 32 others. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const low = block + 48 + ((j >> 1) << 5);
    const high = block + 16;
    const up = <u32>((j & 1) << 2);
    const bit = <u32>j;
    pack5Bits(
      to + (row << 2),
      code(low + 0, up, high + 0, bit),
      code(low + 4, up, high + 4, bit),
      code(low + 8, up, high + 8, bit),
      code(low + 12, up, high + 12, bit),
      code(low + 16, up, high + 16, bit),
      code(low + 20, up, high + 20, bit),
      code(low + 24, up, high + 24, bit),
      code(low + 28, up, high + 28, bit),
    );
  }

  packHead(record: usize, row: usize, block: usize): bool {
    packSixBitScales(record + SCALES + row, record + MINS + row, block + 4);
    const dIsFinite = packScale(record + D + (row << 2), block);
    return packScale(record + DMIN + (row << 2), block + 2) && dIsFinite;
  }
}

/** Four codes, in bytes. */
function code(low: usize, up: u32, high: usize, bit: u32): u32 {
  return ((load<u32>(low) >> up) & 0x0f0f0f0f) | (((load<u32>(high) >> bit) & 0x01010101) << 4);
}
