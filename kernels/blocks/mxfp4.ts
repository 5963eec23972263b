// mxfp4 in panels. A record, 8 rows x 32 columns: 8 exponents e in bytes, then codes packed as in codes4.ts.
// Blocks in the file: src/quant/mxfp4.ts
import { nibblesOfBytes } from '../lanes';
import { CHUNK_4_BITS } from './codes4';
import { packNibbles } from './file_codes';
import { GroupedSource } from './grouped_repack';
import { ACTIVATION_BYTES, BLOCK_SIZE, SCALE_AT, startOf } from './q8_record';
import { ones } from './record_parts';
import { dot16OfTable, unpackTable } from './table4';

const E: usize = 0;
const CODES: usize = 8;
/** Values are doubled, which makes them integers; here they are stored as value + 16. */
const LOG2_OFFSET = 4;
/** From this e on, 12 * 2^(e - 128), the largest of all values, is beyond f32. */
const FIRST_TOO_LARGE = 253;
const VALUES = memory.data<u8>([16, 17, 18, 19, 20, 22, 24, 28, 16, 15, 14, 13, 12, 10, 8, 4]);

export class Mxfp4 implements GroupedSource {
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
    return 136;
  }

  codesAt(): usize {
    return CODES;
  }

  chunkBytes(): usize {
    return CHUNK_4_BITS;
  }

  /** |sum| <= 16 * 12 * 127 < 2^15 in each of a row's two lanes, since a value counts as value - 16. */
  dotFirst(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16OfTable(sums, VALUES, at, a, x0, x1, x2, x3, mask);
  }

  dotLast(sums: v128, _plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128 {
    return dot16OfTable(sums, VALUES, at + 64, a, x0, x1, x2, x3, mask);
  }

  hasScales(): bool {
    return false;
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

  start(q: usize, _u: usize, _plane: usize): v128 {
    return startOf(q, LOG2_OFFSET);
  }

  planes(): usize {
    return 1;
  }

  unpack(to: usize, step: usize, at: usize, _plane: usize): void {
    unpackTable(to, step, VALUES, at);
  }

  unpackSigned(to: usize, step: usize, at: usize): void {
    unpackTable(to, step, VALUES, at);
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

  /**
   * 2^(e - 128) of doubled values: exponent e - 1 as f32 has it. For e = 0 and 1 that is a subnormal, 1 or 2 times 2^21 units; from
   * e = 2 on the same formula stays below.
   */
  d(record: usize, half: usize): v128 {
    const all = v128.load8x8_u(record, E);
    const e = half ? i32x4.extend_high_i16x8_u(all) : i32x4.extend_low_i16x8_u(all);
    const normal = i32x4.shl(i32x4.sub(e, i32x4.splat(1)), 23);
    return i32x4.max_s(normal, i32x4.shl(i32x4.add(e, i32x4.splat(1)), 21));
  }

  dmin(_record: usize, _half: usize): v128 {
    return i32x4.splat(0);
  }

  fileBytes(): usize {
    return 17;
  }

  packChunk(to: usize, row: usize, block: usize, _j: usize): void {
    packNibbles(to + (row << 2), block + 1, block + 1, 0, 4);
  }

  packHead(record: usize, row: usize, block: usize): bool {
    const e = <i32>load<u8>(block);
    store<u8>(record + row, <u8>e, E);
    return e < FIRST_TOO_LARGE || allFinite(block, e);
  }
}

/** Whether the values of a block in the file are, e at least 2. */
function allFinite(block: usize, e: i32): bool {
  const d = reinterpret<f32>((e - 1) << 23);
  let all = true;
  for (let i: usize = 1; i <= 16; i++) {
    const pair = <usize>load<u8>(block + i);
    const first = d * <f32>(<i32>load<u8>(VALUES + (pair & 0x0f)) - 16);
    const last = d * <f32>(<i32>load<u8>(VALUES + (pair >> 4)) - 16);
    all = all && first - first === 0 && last - last === 0; // an infinity less itself is NaN
  }
  return all;
}
