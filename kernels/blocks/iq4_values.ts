// The 16 values of iq4_nl and iq4_xs (src/quant/iq4_values.ts). They span -127..113, more than the 7 bits of a dot product of bytes:
// the relaxed build sums value + 128 = 16 high + low by its two halves, high counting as high - 8. The other one has i16.
import { dot16OfSigned, dot16OfTable, unpackTable } from './table4';

const VALUES = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);
/** value + 128: the low four bits, then the high ones. */
const LOW = memory.data<u8>([1, 8, 13, 15, 15, 13, 10, 6, 1, 13, 9, 6, 5, 5, 9, 1]);
const HIGH = memory.data<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 15]);

/** What the high halves count as: high - 2^3. */
export const IQ4_LOG2_HIGH_OFFSET = 3;
export const IQ4_PLANES: usize = ASC_FEATURE_RELAXED_SIMD ? 2 : 1;

/** sums + 16 columns of a plane's codes, or of the values themselves. */
export function dotIq4(
  sums: v128,
  plane: usize,
  at: usize,
  a: usize,
  x0: v128,
  x1: v128,
  x2: v128,
  x3: v128,
  mask: v128,
): v128 {
  if (!ASC_FEATURE_RELAXED_SIMD) return dot16OfSigned(sums, VALUES, at, a, mask);
  return dot16OfTable(sums, plane ? HIGH : LOW, at, a, x0, x1, x2, x3, mask);
}

/** Codes of a plane, or the values themselves. */
export function unpackIq4(to: usize, step: usize, at: usize, plane: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) unpackTable(to, step, plane ? HIGH : LOW, at);
  else unpackTable(to, step, VALUES, at);
}

export function unpackIq4Values(to: usize, step: usize, at: usize): void {
  unpackTable(to, step, VALUES, at);
}
