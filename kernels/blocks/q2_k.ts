// q2_k in panels. A record, 4 rows x 256 columns:    Blocks in the file: src/quant/q2_k.ts
//   16 x 4 bytes   scales (low nibble) and minima (high one), [16 columns][row]
//   4 x f32        d
//   4 x f32        dmin
//   8 x 32 bytes   codes of 32 columns, see codes2.ts
import { nibblesOfWords } from '../lanes';
import { CHUNK_2_BITS, dot16Of2Bits, pack2Bits, unpack2Bits } from './codes2';
import { addScaled, QUAD } from './dots';
import { GroupedSource, packScale } from './grouped_repack';
import { SUPER_ACTIVATION_BYTES, SUPER_BLOCK, SUPER_SCALE_AT } from './q8_super_record';
import { minSums16 } from './record_parts';

const SCALES: usize = 0;
const D: usize = 64;
const DMIN: usize = 80;
const CODES: usize = 96;

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
    return 352;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_2_BITS;
  }

  addChunk(total: v128, record: usize, j: usize, at: usize, a: usize, _q: usize): v128 {
    const u = j << 1;
    const first = dot16Of2Bits(i32x4.splat(0), at, a);
    const last = dot16Of2Bits(i32x4.splat(0), at + 16, a + 4 * QUAD);
    return addScaled(addScaled(total, first, this.scales(record, u)), last, this.scales(record, u + 1));
  }

  unit(): usize {
    return 16;
  }

  scales(record: usize, u: usize): v128 {
    return v128.and(v128.load8x8_u(record + (u << 2), SCALES), nibblesOfWords());
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

  minSums(record: usize, q: usize): v128 {
    return minSums16(record + SCALES, q);
  }

  mins(record: usize, u: usize): v128 {
    return i16x8.shr_u(v128.load8x8_u(record + (u << 2), SCALES), 4);
  }

  d(record: usize): v128 {
    return v128.load(record + D);
  }

  dmin(record: usize): v128 {
    return v128.load(record + DMIN);
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
        to + i + (row << 2),
        code(from + i, up),
        code(from + i + 4, up),
        code(from + i + 8, up),
        code(from + i + 12, up),
      );
    }
  }

  packHead(record: usize, row: usize, block: usize): bool {
    for (let j: usize = 0; j < 16; j++) store<u8>(record + (j << 2) + row, load<u8>(block + j), SCALES);
    const dIsFinite = packScale(record + D + (row << 2), block + 80);
    return packScale(record + DMIN + (row << 2), block + 82) && dIsFinite;
  }
}

/** Four codes, in bytes. */
function code(from: usize, up: u32): u32 {
  return (load<u32>(from) >> up) & 0x03030303;
}
