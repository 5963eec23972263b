// Sums of products of activation codes with weight codes in bytes 0..127: what the kernels of all coded formats share.
// A vector of codes is 4 rows x 4 columns, [row][column]; lanes are rows.
//
// relaxed: sums are i16, two for each row (columns 0 and 1, 2 and 3 mod 4); a caller keeps them within 16 bits where they are
// widened (on the way there a sum may wrap around). simd: sums are i32, one for each row.
import { bytesOfWords, dotStep } from '../lanes';
import { PAIR_SUMS_AT } from './q8_super_record';

/** Bytes of the activation codes of four columns. */
export const QUAD: usize = ASC_FEATURE_RELAXED_SIMD ? 4 : 8;

/**
 * sums + the activations of the first four columns at `a` . codes. The functions below are the same for the next ones: an offset
 * within the load costs nothing, an addition does.
 */
export function dotQuad0(sums: v128, a: usize, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, v128.load32_splat(a), codes);
  const even = dotStep(sums, v128.load32_splat(a), v128.and(codes, bytesOfWords()));
  return dotStep(even, v128.load32_splat(a, 4), i16x8.shr_u(codes, 8));
}

export function dotQuad1(sums: v128, a: usize, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, v128.load32_splat(a, QUAD), codes);
  const even = dotStep(sums, v128.load32_splat(a, QUAD), v128.and(codes, bytesOfWords()));
  return dotStep(even, v128.load32_splat(a, QUAD + 4), i16x8.shr_u(codes, 8));
}

export function dotQuad2(sums: v128, a: usize, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, v128.load32_splat(a, 2 * QUAD), codes);
  const even = dotStep(sums, v128.load32_splat(a, 2 * QUAD), v128.and(codes, bytesOfWords()));
  return dotStep(even, v128.load32_splat(a, 2 * QUAD + 4), i16x8.shr_u(codes, 8));
}

export function dotQuad3(sums: v128, a: usize, codes: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return dotStep(sums, v128.load32_splat(a, 3 * QUAD), codes);
  const even = dotStep(sums, v128.load32_splat(a, 3 * QUAD), v128.and(codes, bytesOfWords()));
  return dotStep(even, v128.load32_splat(a, 3 * QUAD + 4), i16x8.shr_u(codes, 8));
}

/** total + scales * sums; the scales of 4 rows are the first four i16 lanes. */
export function addScaled(total: v128, sums: v128, scales: v128): v128 {
  return addFactored(total, sums, factorsOf(scales));
}

/** What sums are multiplied by: (s, s) for each row's two sums of 16 bits, or s for its one sum of 32. */
export function factorsOf(scales: v128): v128 {
  return ASC_FEATURE_RELAXED_SIMD ? twice(scales) : i32x4.extend_low_i16x8_s(scales);
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

/** s0 s0 s1 s1 s2 s2 s3 s3. */
function twice(scales: v128): v128 {
  return v128.shuffle<i16>(scales, scales, 0, 0, 1, 1, 2, 2, 3, 3);
}
