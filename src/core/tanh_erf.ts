import { copySign } from './bits.ts';
import { exp } from './exp_log.ts';

/** tanh and erf in f64; see math.ts for what they promise. Both are odd: they work on |x| and put the sign back. */

/** From here on 1 - 2 / (e^2x + 1) is the more exact form of tanh. */
const TANH_SMALL = 1;

/** tanh x. NaN -> NaN; +-Infinity -> +-1; +-0 -> +-0. */
export function tanh(x: number): number {
  const a = Math.abs(x);
  return copySign(a < TANH_SMALL ? smallTanh(a) : 1 - 2 / (exp(2 * a) + 1), x);
}

/** The last odd number of the fraction below; one step further changes tanh 1 by 2^-64. */
const TANH_DEPTH = 19;

/**
 * Lambert's continued fraction tanh a = a / (1 + w) with w = a^2 / (3 + a^2 / (5 + ...)), for 0 <= a <= 1.
 * Taken as a - a w / (1 + w), so that the errors of w count by a quarter at most.
 */
function smallTanh(a: number): number {
  const z = a * a;
  let below = TANH_DEPTH;
  for (let odd = TANH_DEPTH - 2; odd >= 3; odd -= 2) below = odd + z / below;
  const w = z / below;
  return a - a * (w / (1 + w));
}

/** Up to here erf's Taylor series loses nothing to its alternating signs. */
const ERF_SMALL = 1;
/** From here on 1 - erf x is below 2^-54. */
const ERF_ONE = 6;
/** 2 / sqrt(pi) - 1 and 1 / sqrt(pi), to nearest. */
const TWO_OVER_SQRT_PI_LESS_1 = 0.1283791670955126;
const ONE_OVER_SQRT_PI = 0.5641895835477563;

/** erf x = 2 / sqrt(pi) times the integral of e^-t^2 from 0 to x. NaN -> NaN; +-Infinity -> +-1; +-0 -> +-0. */
export function erf(x: number): number {
  const a = Math.abs(x);
  if (a < ERF_SMALL) return copySign(smallErf(a), x);
  return copySign(a < ERF_ONE || Number.isNaN(a) ? 1 - erfcOf(a) : 1, x);
}

/** (-1)^n / (n! (2 n + 1)) for n = 1, 2, ...: at x = 1 the first omitted one is 2^-62. */
const ERF_SERIES: readonly number[] = erfSeries(18);

function erfSeries(nTerms: number): number[] {
  const series: number[] = [];
  let factorial = 1; // 18! is below 2^53: exact
  for (let n = 1; n <= nTerms; n++) {
    factorial *= n;
    series.push((n % 2 === 0 ? 1 : -1) / factorial / (2 * n + 1));
  }
  return series;
}

/**
 * erf a = 2 / sqrt(pi) (a - a^3 / 3 + a^5 / 10 - ...) for 0 <= a <= 1.
 * Taken as a + a e with |e| < 0.16, so that the errors of e count little.
 */
function smallErf(a: number): number {
  const z = a * a;
  let q = 0;
  for (let n = ERF_SERIES.length; n >= 1; n--) q = q * z + ERF_SERIES[n - 1]!;
  return a + a * (TWO_OVER_SQRT_PI_LESS_1 + 2 * ONE_OVER_SQRT_PI * (q * z));
}

/** Depth x a^2 that brings the fraction below within 2^-58 of erf; found with 200-bit arithmetic over 1 <= a <= 6. */
const ERFC_DEPTH = 215;

/**
 * erfc a = e^-a^2 / sqrt(pi) / (a + (1/2) / (a + (2/2) / (a + (3/2) / (a + ...)))), for a >= 1. NaN -> NaN.
 * All terms are positive, so nothing cancels; erfc 1 = 0.16, so its errors count little in 1 - erfc.
 * Source: Abramowitz & Stegun 7.1.14.
 */
function erfcOf(a: number): number {
  let below = a;
  for (let k = Math.ceil(ERFC_DEPTH / (a * a)); k >= 1; k--) below = a + k / 2 / below;
  return (exp(-a * a) * ONE_OVER_SQRT_PI) / below;
}
