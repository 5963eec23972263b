// Parts of records that several formats have.
import { f16ToF32x4 } from '../lanes';
import { SUM_AT } from './q8_record';
import { SUMS_16_AT, SUMS_32_AT } from './q8_super_record';

/** From memory: see CONSTANTS in lanes.ts. Pairs of i16. */
const UNITS = memory.data<u32>([0x00010001, 0xffffffff]);

/** The scales of a format that has none for parts of a block. */
export function ones(): v128 {
  return v128.load32_splat(UNITS);
}

/** The minima of a format whose one minimum is added. */
export function minusOnes(): v128 {
  return v128.load32_splat(UNITS, 4);
}

/** Four f16, one for each row. */
export function halves(at: usize): v128 {
  return f16ToF32x4(v128.load16x4_s(at));
}

/** Minus the sum of a block of 32 activations, in every lane. */
export function minusSum(q: usize): v128 {
  const sums = v128.load32_splat(q, SUM_AT);
  return ASC_FEATURE_RELAXED_SIMD ? i32x4.extadd_pairwise_i16x8_s(sums) : sums;
}

/** sum_j m_j * (sum of the activations of 32 columns j); mins: bytes [8][8 rows]; half: 0 for the first four rows, 1 for the others. */
export function minSums32(mins: usize, q: usize, half: usize): v128 {
  let sums = i32x4.splat(0);
  for (const end = mins + 64; mins < end; mins += 16, q += 4) {
    const pairs = inPairs(v128.load8x8_u(mins), v128.load8x8_u(mins, 8), half);
    sums = i32x4.add(sums, i32x4.dot_i16x8_s(pairs, v128.load32_splat(q, SUMS_32_AT)));
  }
  return sums;
}

/** The same by 16 columns; mins: high nibbles of [16][8 rows]. */
export function minSums16(mins: usize, q: usize, half: usize): v128 {
  let sums = i32x4.splat(0);
  for (const end = mins + 128; mins < end; mins += 16, q += 4) {
    const pairs = inPairs(i16x8.shr_u(v128.load8x8_u(mins), 4), i16x8.shr_u(v128.load8x8_u(mins, 8), 4), half);
    sums = i32x4.add(sums, i32x4.dot_i16x8_s(pairs, v128.load32_splat(q, SUMS_16_AT)));
  }
  return sums;
}

/** Four rows of one sub-block and of the next, as one pair for each row. */
function inPairs(first: v128, second: v128, half: usize): v128 {
  if (half) return v128.shuffle<i16>(first, second, 4, 12, 5, 13, 6, 14, 7, 15);
  return v128.shuffle<i16>(first, second, 0, 8, 1, 9, 2, 10, 3, 11);
}
