import { exponentOf, pow2 } from './bits.ts';
import { add, type DoubleDouble, divByDouble, fastTwoSum, mul, twoProduct, twoSum } from './double_double.ts';

/** exp, log and pow in f64; see math.ts for what they promise. */

/** e^x is at least 2^1024 above the first, and below 2^-1075 under the second: Infinity and +0. */
const EXP_OVERFLOW = 709.79;
const EXP_UNDERFLOW = -745.14;

/** ln 2 in two parts. The first has 42 bits, so its product with an |n| < 2^11 is exact. */
const LN2_HIGH = 0.6931471805598903;
const LN2_LOW = 5.497923018708371e-14;
/** ln 2 as the f64 nearest to it, and the rest. */
const LN2: DoubleDouble = { high: Math.LN2, low: 2.3190468138462996e-17 };

/** Added to a number below 2^51, it leaves the nearest integer (ties to even) in the low bits: softmax calls exp often. */
const ROUNDER = 1.5 * 2 ** 52;

/** e^x. NaN -> NaN; Infinity -> Infinity; -Infinity -> +0; +-0 -> 1. */
export function exp(x: number): number {
  return expOfSum(x, 0);
}

/**
 * e^(high + low), |low| at most a few ulp of high.
 *
 * With n = round(x / ln 2) and r = x - n ln 2, |r| <= 0.35: e^x = 2^n e^r, and e^r = 1 + r + r^2 (1/2! + r/3! + ...).
 */
export function expOfSum(high: number, low: number): number {
  if (Number.isNaN(high)) return NaN;
  if (high > EXP_OVERFLOW) return Infinity;
  if (high < EXP_UNDERFLOW) return 0;

  const n = high * Math.LOG2E + ROUNDER - ROUNDER;
  const head = high - n * LN2_HIGH; // exact: the two are within a factor of 2 of each other
  const rest = n * LN2_LOW - low;
  const r = head - rest;
  const lost = head - r - rest; // r + lost is x - n ln 2 to about 100 bits

  const p = 1 + (r + (r * r * expSeries(r) + lost * (1 + r)));
  // 2^n reaches beyond the normal exponents, so it is multiplied in halves. The first product is exact.
  const half = n >> 1;
  return p * pow2(half) * pow2(n - half);
}

/** (e^r - 1 - r) / r^2 = sum over k >= 2 of r^(k - 2) / k!. For |r| <= 0.35 the first omitted term, r^14 / 14!, is 2^-57. */
function expSeries(r: number): number {
  let q = 1 / 6227020800; // 1 / 13!
  q = q * r + 1 / 479001600;
  q = q * r + 1 / 39916800;
  q = q * r + 1 / 3628800;
  q = q * r + 1 / 362880;
  q = q * r + 1 / 40320;
  q = q * r + 1 / 5040;
  q = q * r + 1 / 720;
  q = q * r + 1 / 120;
  q = q * r + 1 / 24;
  q = q * r + 1 / 6;
  return q * r + 1 / 2;
}

/** ln x. NaN and x < 0 -> NaN; +-0 -> -Infinity; Infinity -> Infinity; 1 -> +0. */
export function log(x: number): number {
  if (Number.isNaN(x) || x < 0) return NaN;
  if (x === 0) return -Infinity;
  if (x === Infinity) return Infinity;
  return logOf(x).high;
}

/** Terms of atanh's series: the first SERIES_PAIRS need more than 53 bits, the others weigh at most 2^-30 of the whole. */
const SERIES_PAIRS = 5;
const SERIES_TERMS = 15;
/** 1 / (2 j + 1) for the first terms, to 106 bits. */
const ODD_RECIPROCALS: readonly DoubleDouble[] = Array.from({ length: SERIES_PAIRS }, (_, j) =>
  divByDouble({ high: 1, low: 0 }, 2 * j + 1),
);

/** Moves subnormals and the largest numbers to where 2^-exponent is a normal number. */
const RESCALE_BITS = 64;

/**
 * ln x for finite x > 0, to about 2^-95 of itself.
 *
 * x = 2^k m with m in [sqrt(1/2), sqrt(2)), and with s = (m - 1) / (m + 1), |s| < 0.172:
 *   ln m = 2 atanh s = 2 (s + s^3 / 3 + s^5 / 5 + ...)
 */
function logOf(x: number): DoubleDouble {
  const shift = x < 2 ** -960 ? RESCALE_BITS : x > 2 ** 960 ? -RESCALE_BITS : 0;
  const scaled = x * pow2(shift);
  let k = exponentOf(scaled);
  let m = scaled * pow2(-k); // in [1, 2)
  if (m > Math.SQRT2) {
    m /= 2;
    k += 1;
  }
  k -= shift;

  const f = m - 1; // exact
  const denominator = twoSum(m, 1); // exact
  const quotient = f / denominator.high;
  const back = twoProduct(quotient, denominator.high);
  const s = fastTwoSum(quotient, (f - back.high - back.low - quotient * denominator.low) / denominator.high);
  const z = mul(s, s);

  let tail = 1 / (2 * SERIES_TERMS + 1);
  for (let j = SERIES_TERMS - 1; j >= SERIES_PAIRS; j--) tail = tail * z.high + 1 / (2 * j + 1);
  let series: DoubleDouble = { high: tail, low: 0 };
  for (let j = SERIES_PAIRS - 1; j >= 0; j--) series = add(mul(series, z), ODD_RECIPROCALS[j]!);
  const half = mul(s, series); // atanh s

  return add(mul({ high: k, low: 0 }, LN2), { high: 2 * half.high, low: 2 * half.low });
}

/**
 * x^y, with ECMAScript's rules for special values: y = +-0 -> 1; NaN -> NaN; |x| = 1 with an infinite y -> NaN; x < 0 needs an
 * integer y, else NaN; signs of zeros and infinities follow odd integers y.
 *
 * |x|^y = e^(y ln |x|), the exponent carried to about 95 bits, since 53 would leave an error of up to 700 ulp.
 */
export function pow(x: number, y: number): number {
  if (y === 0) return 1;
  if (Number.isNaN(x) || Number.isNaN(y)) return NaN;
  const a = Math.abs(x);
  if (!Number.isFinite(y)) {
    if (a === 1) return NaN;
    return a > 1 === y > 0 ? Infinity : 0;
  }

  const isInteger = Number.isInteger(y);
  const isNegative = x < 0 || Object.is(x, -0);
  const sign = isNegative && isInteger && y % 2 !== 0 ? -1 : 1;
  if (a === 0) return sign * (y > 0 ? 0 : Infinity);
  if (a === Infinity) return sign * (y > 0 ? Infinity : 0);
  if (isNegative && !isInteger) return NaN;
  return sign * powOfPositive(a, y);
}

/** a^y for finite a > 0 and finite y. */
function powOfPositive(a: number, y: number): number {
  if (a === 1) return 1; // ln a is 0, and y may be too large for a product of pairs
  const ln = logOf(a);
  const t = y * ln.high;
  // Beyond the range of exp a product of pairs might overflow; the pair is not needed there.
  if (!(t > EXP_UNDERFLOW - 1 && t < EXP_OVERFLOW + 1)) return expOfSum(t, 0);
  const exponent = mul(ln, { high: y, low: 0 });
  return expOfSum(exponent.high, exponent.low);
}
