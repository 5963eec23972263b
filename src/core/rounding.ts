import { copySign } from './bits.ts';

/** From here on every f64 is an integer, so adding it to a smaller number rounds that number to an integer. */
const TWO_52 = 2 ** 52;

/**
 * The nearest integer; of two equally near, the even one. 0.5 -> 0, 1.5 -> 2, -2.5 -> -2, -0.3 -> -0.
 *
 * Any f64: from 2^52 on, x itself; infinities stay; NaN -> NaN. On f32 values it is WASM's `f32.nearest`.
 * (`Math.round` is no substitute: it takes ties towards +Infinity.)
 */
export function roundTiesToEven(x: number): number {
  const a = Math.abs(x);
  if (!(a < TWO_52)) return x;
  const rounded = a + TWO_52 - TWO_52; // the first addition rounds, ties to even; the second is exact
  return copySign(rounded, x);
}

/**
 * The nearest integer; of two equally near, the one further from zero: C's `round`. 0.5 -> 1, -2.5 -> -3, -0.3 -> -0.
 *
 * Any f64: from 2^52 on, x itself; infinities stay; NaN -> NaN.
 */
export function roundTiesAway(x: number): number {
  const a = Math.abs(x);
  if (!(a < TWO_52)) return x;
  const whole = Math.floor(a);
  const rounded = a - whole >= 0.5 ? whole + 1 : whole; // a - whole is exact
  return copySign(rounded, x);
}
