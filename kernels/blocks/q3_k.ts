// q3_k in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/q3_k.ts
//   16 x 8 x i8    scales, [16 columns][row], their offset of 32 taken off
//   8 x f32        d
//   8 x 96 bytes   codes of 32 columns, see codes3.ts
import { CHUNK_3_BITS, dotFirstOf3Bits, dotLastOf3Bits, pack3Bits, threeBitsOfBytes, unpack3Bits } from './codes3';
import { startAt } from './dots';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';

const SCALES: usize = 0;
const D: usize = 128;
const CODES: usize = 160;
/** Codes are stored as code + 4. */
const LOG2_OFFSET = 2;

export class Q3K implements GroupedSource {
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
    return 928;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_3_BITS;
  }

  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotFirstOf3Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dotLastOf3Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return true;
  }

  mask(): v128 {
    return threeBitsOfBytes();
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
    unpack3Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack3Bits(to, step, at);
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
    return 110;
  }

  /** 128 columns have 32 bytes of low bits: four chunks, one above the other; bit j of 32 others. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const low = block + 32 + ((j >> 2) << 5);
    const up = <u32>((j & 3) << 1);
    const bit = <u32>j;
    pack3Bits(
      to + (row << 2),
      code(low + 0, up, block + 0, bit),
      code(low + 4, up, block + 4, bit),
      code(low + 8, up, block + 8, bit),
      code(low + 12, up, block + 12, bit),
      code(low + 16, up, block + 16, bit),
      code(low + 20, up, block + 20, bit),
      code(low + 24, up, block + 24, bit),
      code(low + 28, up, block + 28, bit),
    );
  }

  packHead(record: usize, row: usize, block: usize): bool {
    for (let j: usize = 0; j < 16; j++) store<i8>(record + (j << 3) + row, scaleOf(block + 96, j), SCALES);
    return packScale(record + D + (row << 2), block + 108);
  }
}

/** Four codes, in bytes. */
function code(low: usize, up: u32, high: usize, bit: u32): u32 {
  return ((load<u32>(low) >> up) & 0x03030303) | (((load<u32>(high) >> bit) & 0x01010101) << 2);
}

/** s[j] - 32: its low four bits are a nibble of the first eight bytes, its upper two one of four pairs of the last four. */
function scaleOf(from: usize, j: usize): i8 {
  const low = (<i32>load<u8>(from + (j & 7)) >> <i32>((j >> 3) << 2)) & 0x0f;
  const high = (<i32>load<u8>(from + (j & 3), 8) >> <i32>((j >> 2) << 1)) & 3;
  return <i8>((low | (high << 4)) - 32);
}
