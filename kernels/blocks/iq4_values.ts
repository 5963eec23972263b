// The 16 values of iq4_nl and iq4_xs (src/quant/iq4_values.ts). They span -127..113, more than the 7 bits of a dot product of bytes:
// the relaxed build sums value + 128 = 16 high + low by its two halves, high counting as high - 8. The other one has i16.
import { addScaled, QUAD } from './dots';
import { dot16OfSigned, dot16OfTable, unpackTable } from './table4';

const VALUES = memory.data<i8>([-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113]);
/** value + 128: the low four bits, then the high ones. */
const LOW = memory.data<u8>([1, 8, 13, 15, 15, 13, 10, 6, 1, 13, 9, 6, 5, 5, 9, 1]);
const HIGH = memory.data<u8>([0, 1, 2, 3, 4, 5, 6, 7, 8, 8, 9, 10, 11, 12, 13, 15]);

/** What the high halves count as: high - 2^3. */
export const IQ4_LOG2_HIGH_OFFSET = 3;
export const IQ4_PLANES: usize = ASC_FEATURE_RELAXED_SIMD ? 2 : 1;

/** total + scales * sums over the 32 columns at `at`; start: the sums that high halves start from. */
export function addIq4(total: v128, start: v128, scales: v128, at: usize, a: usize): v128 {
  const last = a + 4 * QUAD;
  const zero = i32x4.splat(0);
  if (ASC_FEATURE_RELAXED_SIMD) {
    const lows = dot16OfTable(dot16OfTable(zero, LOW, at, a), LOW, at + 32, last);
    const highs = dot16OfTable(dot16OfTable(start, HIGH, at, a), HIGH, at + 32, last);
    return addScaled(addScaled(total, lows, scales), highs, i16x8.shl(scales, 4));
  }
  return addScaled(total, dot16OfSigned(dot16OfSigned(zero, VALUES, at, a), VALUES, at + 32, last), scales);
}

/** Codes of a plane, or the values themselves. */
export function unpackIq4(to: usize, step: usize, at: usize, plane: usize): void {
  if (ASC_FEATURE_RELAXED_SIMD) unpackTable(to, step, plane ? HIGH : LOW, at);
  else unpackTable(to, step, VALUES, at);
}

export function unpackIq4Values(to: usize, step: usize, at: usize): void {
  unpackTable(to, step, VALUES, at);
}
