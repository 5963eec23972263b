/**
 * Pairs of f64 whose unrounded sum is one number of about 106 bits: what `math.ts` needs where 53 bits are too few.
 * Each function is built from f64 additions and products whose rounding errors are themselves computed exactly.
 * Valid while nothing overflows and no error term underflows: magnitudes between 2^-900 and 2^900, or 0.
 * Source: Dekker 1971, "A floating-point technique for extending the available precision"; Knuth, TAOCP 2, 4.2.2.
 */
export interface DoubleDouble {
  /** The sum rounded to f64. */
  readonly high: number;
  /** What the rounding lost: |low| <= 2^-53 |high|. */
  readonly low: number;
}

/** 2^27 + 1: multiplying by it splits an f64 into two halves of 26 bits. */
const SPLITTER = 134217729;

/** a + b exactly. */
export function twoSum(a: number, b: number): DoubleDouble {
  const high = a + b;
  const bPart = high - a;
  return { high, low: a - (high - bPart) + (b - bPart) };
}

/** a + b exactly, for |a| >= |b| or a = 0. */
export function fastTwoSum(a: number, b: number): DoubleDouble {
  const high = a + b;
  return { high, low: a - high + b };
}

/** a * b exactly. */
export function twoProduct(a: number, b: number): DoubleDouble {
  const high = a * b;
  const aBig = SPLITTER * a;
  const aHigh = aBig - (aBig - a);
  const aLow = a - aHigh;
  const bBig = SPLITTER * b;
  const bHigh = bBig - (bBig - b);
  const bLow = b - bHigh;
  return { high, low: aLow * bLow - (high - aHigh * bHigh - aLow * bHigh - aHigh * bLow) };
}

/** a + b, to about 2^-104 of |a| + |b|. */
export function add(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const s = twoSum(a.high, b.high);
  return fastTwoSum(s.high, s.low + (a.low + b.low));
}

/** a * b, to about 2^-102 of itself. */
export function mul(a: DoubleDouble, b: DoubleDouble): DoubleDouble {
  const p = twoProduct(a.high, b.high);
  return fastTwoSum(p.high, p.low + (a.high * b.low + a.low * b.high));
}

/** a / b for an f64 b, to about 2^-102 of itself. */
export function divByDouble(a: DoubleDouble, b: number): DoubleDouble {
  const quotient = a.high / b;
  const back = twoProduct(quotient, b);
  return fastTwoSum(quotient, (a.high - back.high - back.low + a.low) / b);
}
