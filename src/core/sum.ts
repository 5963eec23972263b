/**
 * The order in which the engine adds, written once for the plain path (`kernels/lanes.ts` is its twin), and the error
 * bounds that follow from it.
 *
 * Sums within a row (softmax denominators, norms) go through four lanes: lane j starts at +0 and adds the elements
 * i = j (mod 4) by rising i; then (l0 + l2) + (l1 + l3). Each addition rounds to f32. The order depends on an element's
 * index in its row alone, so that no tile, page or padding with zeros can change the bits.
 */
const { fround } = Math;

/** Unit roundoff of f32: one operation rounded to nearest is off by at most U times its result. */
export const U = 2 ** -24;
/** Unit roundoff of f64. */
export const U64 = 2 ** -53;
/** The smallest positive f32. A product that underflows is off by at most half of it. */
export const F32_MIN = 2 ** -149;

/** sum of x[from .. from + n) in the stated order, f32. Empty: +0. NaN and infinities follow IEEE addition. */
export function sumRow(x: Float32Array, from: number, n: number): number {
  let l0 = 0;
  let l1 = 0;
  let l2 = 0;
  let l3 = 0;
  const nFull = n & ~3; // whole groups of four
  for (let i = from; i < from + nFull; i += 4) {
    l0 = fround(l0 + x[i]!);
    l1 = fround(l1 + x[i + 1]!);
    l2 = fround(l2 + x[i + 2]!);
    l3 = fround(l3 + x[i + 3]!);
  }
  if (n > nFull) l0 = fround(l0 + x[from + nFull]!);
  if (n > nFull + 1) l1 = fround(l1 + x[from + nFull + 1]!);
  if (n > nFull + 2) l2 = fround(l2 + x[from + nFull + 2]!);
  return fround(fround(l0 + l2) + fround(l1 + l3));
}

/** sum of x[i]^2 over x[from .. from + n): each square rounded to f32, then added in the stated order. Empty: +0. */
export function sumSquaresRow(x: Float32Array, from: number, n: number): number {
  const lanes = new Float32Array(4); // storing into it is the rounding
  for (let i = 0; i < n; i++) {
    const v = x[from + i]!;
    lanes[i & 3] = lanes[i & 3]! + fround(v * v);
  }
  return fround(fround(lanes[0]! + lanes[2]!) + fround(lanes[1]! + lanes[3]!));
}

/** Largest of x[from .. from + n). Empty: -Infinity. Any NaN gives NaN, and +0 is above -0: WASM's `max`, in any order. */
export function maxRow(x: ArrayLike<number>, from: number, n: number): number {
  let max = -Infinity;
  for (let i = 0; i < n; i++) max = Math.max(max, x[from + i]!);
  return max;
}

/**
 * sum of x[from .. from + n) in f64 with a running correction: |error| <= U64 |sum| + gamma64(n)^2 sum |x|.
 * Where the result is not finite, it is the plain sum's, since infinities have no correction.
 * Source: Neumaier 1974, "Rundungsfehleranalyse einiger Verfahren zur Summation endlicher Summen".
 */
export function sum64(x: ArrayLike<number>, from: number, n: number): number {
  let sum = 0;
  let correction = 0;
  for (let i = 0; i < n; i++) {
    const v = x[from + i]!;
    const next = sum + v;
    // What the addition lost, taken from the larger of the two.
    correction += Math.abs(sum) >= Math.abs(v) ? sum - next + v : v - next + sum;
    sum = next;
  }
  const corrected = sum + correction;
  return Number.isFinite(corrected) ? corrected : sum;
}

/** 2^27 + 1: splits an f64 into two halves of 26 bits (Veltkamp 1968, Dekker 1971). */
const SPLITTER = 134217729;

/**
 * sum of a[aFrom + i] * b[bFrom + i] in f64 as if computed with twice the digits:
 * |error| <= U64 |dot| + gamma64(n)^2 sum |a b|, as long as no product is below 2^-969 (where its low half underflows).
 * Where the result is not finite, it is the plain dot product's.
 * Source: Ogita, Rump & Oishi 2005, "Accurate Sum and Dot Product", algorithm Dot2.
 */
export function dot64(a: ArrayLike<number>, aFrom: number, b: ArrayLike<number>, bFrom: number, n: number): number {
  let sum = 0;
  let correction = 0;
  for (let i = 0; i < n; i++) {
    const x = a[aFrom + i]!;
    const y = b[bFrom + i]!;
    const product = x * y;
    // product + productError == x * y exactly: products of the halves have no rounding.
    const xBig = SPLITTER * x;
    const xHigh = xBig - (xBig - x);
    const xLow = x - xHigh;
    const yBig = SPLITTER * y;
    const yHigh = yBig - (yBig - y);
    const yLow = y - yHigh;
    const productError = xLow * yLow - (product - xHigh * yHigh - xLow * yHigh - xHigh * yLow);
    // next + sumError == sum + product exactly (Knuth's two-sum).
    const next = sum + product;
    const part = next - sum;
    const sumError = sum - (next - part) + (product - part);
    sum = next;
    correction += productError + sumError;
  }
  const corrected = sum + correction;
  return Number.isFinite(corrected) ? corrected : plainDot64(a, aFrom, b, bFrom, n);
}

/** For what the correction cannot follow: infinities, NaN, and factors above 2^996, whose split overflows. */
function plainDot64(a: ArrayLike<number>, aFrom: number, b: ArrayLike<number>, bFrom: number, n: number): number {
  let sum = 0;
  for (let i = 0; i < n; i++) sum += a[aFrom + i]! * b[bFrom + i]!;
  return sum;
}

/**
 * gamma(n) = n U / (1 - n U): n roundings in a row change a result by at most this factor.
 * Meaningful for n < 2^24; from there on the bound is Infinity.
 * Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", 2nd ed., lemma 3.1.
 */
export function gamma(n: number): number {
  return n * U < 1 ? (n * U) / (1 - n * U) : Infinity;
}

/** The same for f64. */
export function gamma64(n: number): number {
  return n * U64 < 1 ? (n * U64) / (1 - n * U64) : Infinity;
}

/**
 * Largest |error| of an f32 dot product of n terms, in any order of additions; sumAbs = sum |a b|.
 * The second term covers products that underflow; additions never do (a sum of two f32 below 2^-126 is exact).
 * Source: Higham, 3.1, with the underflow term.
 */
export function dotBound(n: number, sumAbs: number): number {
  return gamma(n) * sumAbs + n * F32_MIN;
}

/** Roundings that an element meets on its way through `sumRow`: its lane's additions (the first one is exact), then two. */
export function sumRowRoundings(n: number): number {
  return n === 0 ? 0 : Math.ceil(n / 4) + 1;
}

/** Largest |error| of `sumRow`; sumAbs = sum |x|. */
export function sumRowBound(n: number, sumAbs: number): number {
  return gamma(sumRowRoundings(n)) * sumAbs;
}

/** Largest |error| of `sumSquaresRow`; sumSquares = sum x^2. One more rounding for each square, which may underflow. */
export function sumSquaresRowBound(n: number, sumSquares: number): number {
  return gamma(sumRowRoundings(n) + 1) * sumSquares + n * F32_MIN;
}
