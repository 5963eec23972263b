// Sums of products of activation codes with weight codes in bytes 0..127: what the kernels of all coded formats share.
// A vector of codes is 4 rows x 4 columns, [row][column]; lanes are rows.
//
// relaxed: sums are i16, two for each row (columns 0 and 1, 2 and 3 mod 4); a caller keeps them within 16 bits where they are
// widened (on the way there a sum may wrap around). simd: sums are i32, one for each row.
import { dotStep } from '../lanes';
import { PAIR_SUMS_AT } from './q8_super_record';

/** Bytes of the activation codes of four columns. */
export const QUAD: usize = ASC_FEATURE_RELAXED_SIMD ? 4 : 8;

/** The activations of the first four columns at `a`, in every lane: rows of the relaxed build share them. */
export function quad0(a: usize): v128 {
  return v128.load32_splat(a);
}

export function quad1(a: usize): v128 {
  return v128.load32_splat(a, QUAD);
}

export function quad2(a: usize): v128 {
  return v128.load32_splat(a, 2 * QUAD);
}

export function quad3(a: usize): v128 {
  return v128.load32_splat(a, 3 * QUAD);
}

/**
 * sums + the activations of the first four columns at `a` . codes. relaxed: x is quad0 of `a`. simd: activations take two vectors, too many to be
 * kept, and are loaded here; x is bytesOfWords. The functions below are the same for the next columns.
 */
export function dotQuad0(sums: v128, a: usize, x: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, x, codes);
  const even = dotStep(sums, v128.load32_splat(a), v128.and(codes, x));
  return dotStep(even, v128.load32_splat(a, 4), i16x8.shr_u(codes, 8));
}

export function dotQuad1(sums: v128, a: usize, x: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, x, codes);
  const even = dotStep(sums, v128.load32_splat(a, QUAD), v128.and(codes, x));
  return dotStep(even, v128.load32_splat(a, QUAD + 4), i16x8.shr_u(codes, 8));
}

export function dotQuad2(sums: v128, a: usize, x: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, x, codes);
  const even = dotStep(sums, v128.load32_splat(a, 2 * QUAD), v128.and(codes, x));
  return dotStep(even, v128.load32_splat(a, 2 * QUAD + 4), i16x8.shr_u(codes, 8));
}

export function dotQuad3(sums: v128, a: usize, x: v128, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, x, codes);
  const even = dotStep(sums, v128.load32_splat(a, 3 * QUAD), v128.and(codes, x));
  return dotStep(even, v128.load32_splat(a, 3 * QUAD + 4), i16x8.shr_u(codes, 8));
}

/**
 * What sums of four rows are multiplied by: (s, s) for each row's two sums of 16 bits, or s for its one sum of 32. The scales of eight rows
 * are i16; of the first four:
 */
export function factorsLow(scales: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.shuffle<i16>(scales, scales, 0, 0, 1, 1, 2, 2, 3, 3);
  return i32x4.extend_low_i16x8_s(scales);
}

/** Of the last four. */
export function factorsHigh(scales: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return v128.shuffle<i16>(scales, scales, 4, 4, 5, 5, 6, 6, 7, 7);
  return i32x4.extend_high_i16x8_s(scales);
}

/** total + factors * sums. */
export function addFactored(total: v128, sums: v128, factors: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.add(total, i32x4.dot_i16x8_s(sums, factors));
  return i32x4.add(total, i32x4.mul(sums, factors));
}

/**
 * The sums of 16 columns to start from, so that unsigned codes count as code - 2^log2Offset: that much times minus the sums of the
 * activations. q: the activations' record, 4 bytes on for each 16 columns.
 */
export function startAt(q: usize, log2Offset: i32): v128 {
  const sums = v128.load32_splat(q, PAIR_SUMS_AT);
  if (ASC_FEATURE_RELAXED_SIMD) return i16x8.shl(sums, log2Offset);
  return i32x4.shl(i32x4.extadd_pairwise_i16x8_s(sums), log2Offset);
}
