/** The kernels that put rows into the cache and read its codes; src/kvcache/layout.ts draws how K and V lie. */

/**
 * Writes token t's keys (or values) to position `position + t`.  x: [nTokens, nKvHeads, headDim], row stride xStride.
 * to: base of kv head 0 at position 0 of its first block; headStride: bytes from one kv head to the next. Values lie as
 * [position][headDim] for each kv head.
 */
export type KvWrite = (
  to: number,
  headStride: number,
  position: number,
  x: number,
  xStride: number,
  nTokens: number,
  nKvHeads: number,
  headDim: number,
) => void;

/**
 * KvWrite of keys x turned by the angles of positions[t]: pairs are (2i, 2i+1) where isPairs, else (i, i + ropeDim/2).
 * positions: i32 [nTokens].  cos, sin: [*, ropeDim / 2].
 */
export type RopeWrite = (
  k: number,
  kHeadStride: number,
  position: number,
  x: number,
  xStride: number,
  positions: number,
  cos: number,
  sin: number,
  nTokens: number,
  nKvHeads: number,
  headDim: number,
  ropeDim: number,
  isPairs: number,
) => void;

/**
 * Rounds token t's keys (isValue 0) or values (1) to the place of position `position + t`, as src/kvcache/coded_rows.ts draws it.
 * to: base of kv head 0 at position 0 of its page; headStride: bytes from one kv head to the next.
 * x: [nTokens, nKvHeads, headDim], row stride xStride.  headDim: a multiple of 32.
 */
export type KvPack = (
  to: number,
  headStride: number,
  position: number,
  x: number,
  xStride: number,
  nTokens: number,
  nKvHeads: number,
  headDim: number,
  isValue: number,
) => void;

/**
 * nGroups x 16 positions of coded rows as f32, in the order of src/kvcache/layout.ts.
 * y: yHeadStride bytes from one kv head to the next.  from: base of kv head 0 at the first of these positions, headStride in bytes.
 */
export type KvUnpack = (
  y: number,
  yHeadStride: number,
  from: number,
  headStride: number,
  nGroups: number,
  nKvHeads: number,
  headDim: number,
  isValue: number,
) => void;
