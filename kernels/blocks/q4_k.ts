// q4_k in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/q4_k.ts
//   8 x 8 bytes    scales, [32 columns][row]
//   8 x 8 bytes    minima
//   8 x f32        d
//   8 x f32        dmin
//   8 x 128 bytes   codes of 32 columns, see codes4.ts
import { nibblesOfBytes } from '../lanes';
import { CHUNK_4_BITS, dot16Of4Bits, unpack4Bits } from './codes4';
import { packNibbles } from './file_codes';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';
import { minSums32 } from './record_parts';
import { packSixBitScales } from './six_bit_scales';

const SCALES: usize = 0;
const MINS: usize = 64;
const D: usize = 128;
const DMIN: usize = 160;
const CODES: usize = 192;

export class Q4K implements GroupedSource {
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
    return 1216;
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
    return true;
  }

  mask(): v128 {
    return nibblesOfBytes();
  }

  unit(): usize {
    return 32;
  }

  scales(record: usize, u: usize): v128 {
    return v128.load8x8_u(record + (u << 3), SCALES);
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

  minSums(record: usize, q: usize, half: usize): v128 {
    return minSums32(record + MINS, q, half);
  }

  mins(record: usize, u: usize): v128 {
    return v128.load8x8_u(record + (u << 3), MINS);
  }

  d(record: usize, half: usize): v128 {
    return v128.load(record + D + (half << 4));
  }

  dmin(record: usize, half: usize): v128 {
    return v128.load(record + DMIN + (half << 4));
  }

  fileBytes(): usize {
    return 144;
  }

  /** Nibbles of 32 bytes, low ones where j is even. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const at = block + 16 + ((j >> 1) << 5);
    packNibbles(to + (row << 2), at, at + 16, <u32>((j & 1) << 2), <u32>((j & 1) << 2));
  }

  packHead(record: usize, row: usize, block: usize): bool {
    packSixBitScales(record + SCALES + row, record + MINS + row, block + 4);
    const dIsFinite = packScale(record + D + (row << 2), block);
    return packScale(record + DMIN + (row << 2), block + 2) && dIsFinite;
  }
}
