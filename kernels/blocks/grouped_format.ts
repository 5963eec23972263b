// What the kernels of formats of small integers share: how a record is asked for its parts, and the end of a block's sum.
import { dotSums } from '../lanes';
import { addFactored, factorsHigh, factorsLow } from './dots';

/** Rows of a panel and of a record: two vectors of rows. */
export const PANEL_ROWS = 16;
export const RECORD_ROWS = 8;
/** Bytes from the codes of a record's first four rows to those of its last four. */
export const HALF_BYTES: usize = 16;

/** Columns that are unpacked together: all of a small block, an eighth of a super-block. */
export const CHUNK = 32;

/** What a format is to these loops: a class without fields, as Panels in linear_f32.ts. Records are named by their address. */
export interface GroupedFormat {
  /** Columns of a block: 32 or 256. */
  columns(): i32;
  /** Bytes of its activations, and where their scale is: q8_record.ts or q8_super_record.ts. */
  activationBytes(): usize;
  activationScaleAt(): usize;
  /** Bytes of 8 rows of a block. */
  recordBytes(): usize;
  /**
   * Where a record's chunks of codes begin: behind its scales, so that a record is read in the order of its bytes. With the scales behind,
   * hardware no longer took the records for one stream (docs/kernels.md).
   */
  codesAt(): usize;
  /**
   * Bytes of a chunk, 8 rows x 32 columns of codes: each vector of the first four rows, at `at`, is followed by the same one of the last four, at
   * `at + HALF_BYTES`.
   */
  chunkBytes(): usize;
  /** sums + the first 16 columns of the chunk at `at`; a: their activations; x0..x3: what dotQuad0..dotQuad3 take; mask: what mask() gives. */
  dotFirst(sums: v128, plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128;
  /** The same with the last 16. */
  dotLast(sums: v128, plane: usize, at: usize, a: usize, x0: v128, x1: v128, x2: v128, x3: v128, mask: v128): v128;
  /** The constant that takes codes out of bytes. In a variable it stays in a register; from memory it is loaded at each use. */
  mask(): v128;
  /** Columns that are summed before they are scaled, 16 or 32: as many as fit 16 bits. */
  unit(): usize;
  /** Whether units have factors other than 1. */
  hasScales(): bool;
  /** Scales of the u-th unit: i16 lanes, one for each row. */
  scales(record: usize, u: usize): v128;
  /** What the sums of the u-th unit start from; q: the activations' record. */
  start(q: usize, u: usize, plane: usize): v128;
  /** Of codes that do not fit 7 bits the low nibbles are summed, then the high ones: 2. Else 1. */
  planes(): usize;
  /** The eight vectors of codes (nibbles of one plane) of the chunk at `at`, `step` bytes apart; relaxed: all in 0..127. */
  unpack(to: usize, step: usize, at: usize, plane: usize): void;
  /** The same as signed bytes, whose value less `offset` is what scales multiply. */
  unpackSigned(to: usize, step: usize, at: usize): void;
  offset(): i32;
  hasMins(): bool;
  /** sum_j m_j * (sum of the activations' codes in sub-block j), q: the activations' record; half: as with d. */
  minSums(record: usize, q: usize, half: usize): v128;
  /** Minima of the u-th unit, as scales. */
  mins(record: usize, u: usize): v128;
  /** f32, of the first four rows or the last four: half 0 or 1. */
  d(record: usize, half: usize): v128;
  dmin(record: usize, half: usize): v128;
}

/** The scales of the u-th unit. The second plane holds the upper nibbles: 16 times as much. */
export function unitScales<P extends GroupedFormat>(record: usize, u: usize, plane: usize): v128 {
  const format = changetype<P>(0);
  const scales = format.scales(record, u);
  return format.planes() === 1 ? scales : i16x8.shl(scales, <i32>(plane << 2));
}

/** total + scales * sums, of the first four rows. */
export function addLow<P extends GroupedFormat>(total: v128, sums: v128, scales: v128): v128 {
  if (!changetype<P>(0).hasScales()) return i32x4.add(total, dotSums(sums));
  return addFactored(total, sums, factorsLow(scales));
}

/** Of the last four. */
export function addHigh<P extends GroupedFormat>(total: v128, sums: v128, scales: v128): v128 {
  if (!changetype<P>(0).hasScales()) return i32x4.add(total, dotSums(sums));
  return addFactored(total, sums, factorsHigh(scales));
}

/** Scale of a block of activations, in every lane. */
export function scaleOfBlock<P extends GroupedFormat>(q: usize): v128 {
  return v128.load32_splat(q + changetype<P>(0).activationScaleAt());
}

/** acc + (d * da) * total: the end of a block. */
export function addTotal(acc: v128, d: v128, da: v128, total: v128): v128 {
  return f32x4.add(acc, f32x4.mul(f32x4.mul(d, da), f32x4.convert_i32x4_s(total)));
}

/** acc - (dmin * da) * (sums of minima), after it. */
export function subtractTotal(acc: v128, dmin: v128, da: v128, minSums: v128): v128 {
  return f32x4.sub(acc, f32x4.mul(f32x4.mul(dmin, da), f32x4.convert_i32x4_s(minSums)));
}
