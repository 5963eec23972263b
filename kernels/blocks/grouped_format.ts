// What the kernels of formats of small integers share: how a record is asked for its parts, and the end of a block's sum.

/** Rows of a panel and of a group. */
export const PANEL_ROWS = 16;
export const GROUP_ROWS = 4;

/** Columns that are unpacked together: all of a small block, an eighth of a super-block. */
export const CHUNK = 32;

/** What a format is to these loops: a class without fields, as Panels in linear_f32.ts. Records are named by their address. */
export interface GroupedFormat {
  /** Columns of a block: 32 or 256. */
  columns(): i32;
  /** Bytes of its activations, and where their scale is: q8_record.ts or q8_super_record.ts. */
  activationBytes(): usize;
  activationScaleAt(): usize;
  /** Bytes of 4 rows of a block. */
  recordBytes(): usize;
  /**
   * Where a record's chunks of codes begin. Super-blocks have their scales before them, so that a record is read in the order of its bytes:
   * with the scales behind, hardware no longer took the records for one stream (docs/kernels.md).
   */
  codesAt(): usize;
  /** Bytes of a chunk, 4 rows x 32 columns of codes. */
  chunkBytes(): usize;
  /** total + the scaled sums of chunk j at `at`; a: its activations; q: the record that they are in. */
  addChunk(total: v128, record: usize, j: usize, at: usize, a: usize, q: usize): v128;
  /** Columns that a tile sums before it scales them, 16 or 32: as many as fit 16 bits. */
  unit(): usize;
  /** Scales of the u-th unit: the first four i16 lanes. */
  scales(record: usize, u: usize): v128;
  /** What the sums of the u-th unit start from; q: the activations' record. */
  start(q: usize, u: usize, plane: usize): v128;
  /** Of codes that do not fit 7 bits, tiles sum the low nibbles, then the high ones: 2. Else 1. */
  planes(): usize;
  /** The eight vectors of codes (nibbles of one plane) of the chunk at `at`, `step` bytes apart; relaxed: all in 0..127. */
  unpack(to: usize, step: usize, at: usize, plane: usize): void;
  /** The same as signed bytes, whose value less `offset` is what scales multiply. */
  unpackSigned(to: usize, step: usize, at: usize): void;
  offset(): i32;
  hasMins(): bool;
  /** sum_j m_j * (sum of the activations' codes in sub-block j), q: the activations' record. */
  minSums(record: usize, q: usize): v128;
  /** Minima of the u-th unit, as scales. */
  mins(record: usize, u: usize): v128;
  /** f32. */
  d(record: usize): v128;
  dmin(record: usize): v128;
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
