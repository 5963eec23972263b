import { BLOCK } from './jpeg_frame.ts';

/**
 * The inverse cosine transform in integers: constants have 13 bits after the point, sums between the two passes 2.
 * Source: Loeffler, Ligtenberg & Moschytz 1989, "Practical fast 1-D DCT algorithms with 11 multiplications"; the number of
 * bits is the one that libjpeg has, so that samples are equal to its "slow integer" transform.
 */
const CONST_BITS = 13;
const PASS_BITS = 2;

/** round(x * 2^13) */
const fixed = (x: number): number => Math.round(x * (1 << CONST_BITS));
const F_0_298 = fixed(0.298631336);
const F_0_390 = fixed(0.390180644);
const F_0_541 = fixed(0.5411961);
const F_0_765 = fixed(0.765366865);
const F_0_899 = fixed(0.899976223);
const F_1_175 = fixed(1.175875602);
const F_1_501 = fixed(1.50132111);
const F_1_847 = fixed(1.847759065);
const F_1_961 = fixed(1.96157056);
const F_2_053 = fixed(2.053119869);
const F_2_562 = fixed(2.562915447);
const F_3_072 = fixed(3.072711026);

/**
 * Samples of one block: dequantized, transformed, 128 added, clamped to 0..255.
 *
 * coefficients: 64 of them from `from`; quant: [64], natural order; out: row i of the block starts at to + i * stride.
 * scratch: [64] i32, overwritten.
 */
export function inverseDct(
  coefficients: Int16Array,
  from: number,
  quant: Uint16Array,
  out: Uint8ClampedArray,
  to: number,
  stride: number,
  scratch: Int32Array,
): void {
  for (let i = 0; i < BLOCK; i++) scratch[i] = Math.imul(coefficients[from + i]!, quant[i]!);
  for (let column = 0; column < 8; column++) transform(scratch, column, 8, CONST_BITS - PASS_BITS);
  for (let row = 0; row < 8; row++) transform(scratch, 8 * row, 1, CONST_BITS + PASS_BITS + 3);
  for (let i = 0; i < BLOCK; i++) out[to + (i >> 3) * stride + (i & 7)] = scratch[i]! + 128;
}

/** Eight points in place, at `at`, at + step, ...; the results are divided by 2^shift, rounded half up. */
function transform(x: Int32Array, at: number, step: number, shift: number): void {
  const x0 = x[at]!;
  const x1 = x[at + step]!;
  const x2 = x[at + 2 * step]!;
  const x3 = x[at + 3 * step]!;
  const x4 = x[at + 4 * step]!;
  const x5 = x[at + 5 * step]!;
  const x6 = x[at + 6 * step]!;
  const x7 = x[at + 7 * step]!;

  // Even part: a rotation of x2 and x6, a butterfly of x0 and x4.
  const r = Math.imul(x2 + x6, F_0_541);
  const e2 = (r - Math.imul(x6, F_1_847)) | 0;
  const e3 = (r + Math.imul(x2, F_0_765)) | 0;
  const e0 = (x0 + x4) << CONST_BITS;
  const e1 = (x0 - x4) << CONST_BITS;
  const t0 = (e0 + e3) | 0;
  const t3 = (e0 - e3) | 0;
  const t1 = (e1 + e2) | 0;
  const t2 = (e1 - e2) | 0;

  // Odd part.
  const z5 = Math.imul(x7 + x3 + x5 + x1, F_1_175);
  const z1 = -Math.imul(x7 + x1, F_0_899);
  const z2 = -Math.imul(x5 + x3, F_2_562);
  const z3 = z5 - Math.imul(x7 + x3, F_1_961);
  const z4 = z5 - Math.imul(x5 + x1, F_0_390);
  const o0 = (Math.imul(x7, F_0_298) + z1 + z3) | 0;
  const o1 = (Math.imul(x5, F_2_053) + z2 + z4) | 0;
  const o2 = (Math.imul(x3, F_3_072) + z2 + z3) | 0;
  const o3 = (Math.imul(x1, F_1_501) + z1 + z4) | 0;

  const half = 1 << (shift - 1);
  x[at] = (t0 + o3 + half) >> shift;
  x[at + 7 * step] = (t0 - o3 + half) >> shift;
  x[at + step] = (t1 + o2 + half) >> shift;
  x[at + 6 * step] = (t1 - o2 + half) >> shift;
  x[at + 2 * step] = (t2 + o1 + half) >> shift;
  x[at + 5 * step] = (t2 - o1 + half) >> shift;
  x[at + 3 * step] = (t3 + o0 + half) >> shift;
  x[at + 4 * step] = (t3 - o0 + half) >> shift;
}
