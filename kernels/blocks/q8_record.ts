// Activations as quantize_rows_q8 writes them, for the kernels that read them.
//
// One block of 32 is a record: codes, f32 scale, and minus the sum of the codes. The relaxed build multiplies bytes, so its codes
// are i8 in their order; behind them it also has minus the sum of the negative ones, see linear_q8_0_q8.ts (44 bytes). The other one multiplies pairs of i16: its codes are widened once, for all rows of weights
// (72 bytes), each four in the order 0 2 1 3: the pairs that a shift by 8 takes out of four packed bytes.
//
// The sum takes the offset of unsigned weight codes out again: sum (c + o) * a - o * sum a. A sum of products starts at
// -o * sum a, which costs a shift. In the relaxed build products are summed in 16-bit lanes, those of columns 0 1 and of
// columns 2 3 of each four apart, so the two sums of activations are two i16.
//
// Tokens lie in groups, [group][block][token of the group], so that the tokens of a tile are neighbours. Fewer tokens than
// one group are each a group of their own: a matrix x vector product reads its activations straight on. Otherwise the last
// group is filled up with records of zeros.

export const BLOCK_SIZE = 32;
/** Tokens of one group. */
export const GROUP_TOKENS = 4;

export const CODE_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 32 : 64;
/** Where a record has its scale and its sum, and how long it is. */
export const SCALE_AT: usize = CODE_BYTES;
export const SUM_AT: usize = CODE_BYTES + 4;
/** Minus the sum of the negative codes, in the relaxed build alone. */
export const NEGATIVES_AT: usize = CODE_BYTES + 8;
export const ACTIVATION_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 44 : 72;

/** Tokens of each group, where there are nTokens in all. */
export function groupTokens(nTokens: i32): i32 {
  return nTokens < GROUP_TOKENS ? 1 : GROUP_TOKENS;
}

/** Scale of a record, in every lane. */
export function scaleOf(record: usize): v128 {
  return v128.load32_splat(record, SCALE_AT);
}

/**
 * What `dotStep` of lanes.ts adds to: -(2^log2Offset * sum of codes). Sums of 16 products in 16 bits: with codes of 4 or 5
 * bits, freed of their offset, |sum| <= 16 * 16 * 127 < 2^15, and what wraps around on the way wraps back.
 */
export function startOf(record: usize, log2Offset: i32): v128 {
  const sums = v128.load32_splat(record, SUM_AT);
  return ASC_FEATURE_RELAXED_SIMD ? i16x8.shl(sums, log2Offset) : i32x4.shl(sums, log2Offset);
}

/** What `dotSigned` of lanes.ts adds to: minus the sum of a record's negative codes, in every lane. */
export function startOfSigned(record: usize): v128 {
  return v128.load32_splat(record, NEGATIVES_AT);
}
