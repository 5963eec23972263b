import { f32ToBits } from '../core/bits.ts';

/**
 * How ggml's quantizers turn an f32 into an integer code. They were written for values of ordinary size, and what they do
 * with others (a block of f32 subnormals makes quotients overflow) is what x86-64 makes of them; files hold those codes.
 */
const { fround } = Math;

/** 1.5 x 2^23: the f32 numbers around it are the integers, so adding it rounds to one, ties to even. */
const MAGIC = 12582912;
const LIMIT = 4194304; // 2^22
const FRACTION_BITS = 0x007fffff;

/**
 * x rounded to the nearest integer, ties to even, for f32 x from -2^22 up to 2^22 - 1. Beyond, where ggml asserts, the
 * fraction bits of x + 1.5 x 2^23, as its release builds give; an infinity is -2^22, NaN is 0.
 * Source: nearest_int of ggml-quants.c.
 */
export function nearestInt(x: number): number {
  const sum = fround(x + MAGIC);
  const nearest = sum - MAGIC;
  if (nearest >= -LIMIT && nearest < LIMIT) return nearest;
  return Number.isNaN(sum) ? 0 : (f32ToBits(sum) & FRACTION_BITS) - LIMIT;
}

/** `nearestInt`, cut to min..max. */
export function nearestCode(x: number, min: number, max: number): number {
  return Math.max(min, Math.min(max, nearestInt(x)));
}

/** x without its fraction, cut to at most max; 0 where x is not finite (C's conversion gives a low byte of 0). */
export function truncCode(x: number, max: number): number {
  return Number.isFinite(x) ? Math.min(max, Math.trunc(x)) : 0;
}
