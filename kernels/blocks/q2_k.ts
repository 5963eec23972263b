// q2_k in panels. A record, 8 rows x 256 columns:    Blocks in the file: src/quant/q2_k.ts
//   16 x 8 bytes   scales (low nibble) and minima (high one), [16 columns][row]
//   8 x f32        d
//   8 x f32        dmin
//   8 x 64 bytes   codes of 32 columns, see codes2.ts
import { nibblesOfWords } from '../lanes';
import { CHUNK_2_BITS, dot16Of2Bits, pack2Bits, twoBitsOfBytes, unpack2Bits } from './codes2';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';
import { minSums16 } from './record_parts';

const SCALES: usize = 0;
const D: usize = 128;
const DMIN: usize = 160;
const CODES: usize = 192;

export class Q2K implements GroupedSource {
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
    return 704;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_2_BITS;
  }

  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of2Bits(sums, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16Of2Bits(sums, at + 32, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return true;
  }

  mask(): v128 {
    return twoBitsOfBytes();
  }

  unit(): usize {
    return 16;
  }

  scales(record: usize, u: usize): v128 {
    return v128.and(v128.load8x8_u(record + (u << 3), SCALES), nibblesOfWords());
  }

  start(_q: usize, _u: usize, _plane: usize): v128 {
    return i32x4.splat(0);
  }

  planes(): usize {
    return 1;
  }

  unpack(to: usize, step: usize, at: usize, _plane: usize): void {
    unpack2Bits(to, step, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpack2Bits(to, step, at);
  }

  offset(): i32 {
    return 0;
  }

  hasMins(): bool {
    return true;
  }

  minSums(record: usize, q: usize, half: usize): v128 {
    return minSums16(record + SCALES, q, half);
  }

  mins(record: usize, u: usize): v128 {
    return i16x8.shr_u(v128.load8x8_u(record + (u << 3), SCALES), 4);
  }

  d(record: usize, half: usize): v128 {
    return v128.load(record + D + (half << 4));
  }

  dmin(record: usize, half: usize): v128 {
    return v128.load(record + DMIN + (half << 4));
  }

  fileBytes(): usize {
    return 84;
  }

  /** 128 columns have 32 bytes: four chunks, one above the other. */
  packChunk(to: usize, row: usize, block: usize, j: usize): void {
    const from = block + 16 + ((j >> 2) << 5);
    const up = <u32>((j & 3) << 1);
    for (let i: usize = 0; i < 32; i += 16) {
      pack2Bits(
        to + (i << 1) + (row << 2),
        code(from + i, up),
        code(from + i + 4, up),
        code(from + i + 8, up),
        code(from + i + 12, up),
      );
    }
  }

  packHead(record: usize, row: usize, block: usize): bool {
    for (let j: usize = 0; j < 16; j++) store<u8>(record + (j << 3) + row, load<u8>(block + j), SCALES);
    const dIsFinite = packScale(record + D + (row << 2), block + 80);
    return packScale(record + DMIN + (row << 2), block + 82) && dIsFinite;
  }
}

/** Four codes, in bytes. */
function code(from: usize, up: u32): u32 {
  return (load<u32>(from) >> up) & 0x03030303;
}
