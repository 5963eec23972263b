/**
 * Elementary functions in integer arithmetic: the reference for src/core/math.ts, sharing no code and no constant with it.
 *
 * A real number is a BigInt count of 2^-P. Every step truncates, so a result is off by at most a few hundred units of
 * 2^-P; P leaves more than 100 bits beyond what an f64 holds for every input that the tests use.
 */
const P = 400n;
const ONE = 1n << P;

/** An f64 of at least 2^-300 in magnitude (or 0), exactly. */
export function bigOf(x: number): bigint {
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const bits = view.getBigUint64(0);
  const stored = (bits >> 52n) & 0x7ffn;
  const fraction = bits & ((1n << 52n) - 1n);
  const significand = stored === 0n ? fraction : fraction | (1n << 52n);
  const shift = (stored === 0n ? 1n : stored) - 1075n + P;
  if (shift < 0n && significand !== 0n) throw new Error(`bigOf: ${x} has digits below 2^-${P}`);
  const magnitude = shift >= 0n ? significand << shift : 0n;
  return x < 0 ? -magnitude : magnitude;
}

const mul = (a: bigint, b: bigint): bigint => (a * b) >> P;
const div = (a: bigint, b: bigint): bigint => (a << P) / b;
const abs = (a: bigint): bigint => (a < 0n ? -a : a);

/** atan(1 / n) and atanh(1 / n) by their series: the sources of pi and ln 2. */
function arcSeries(n: bigint, sign: bigint): bigint {
  let power = ONE / n;
  let sum = 0n;
  for (let k = 1n, s = 1n; power !== 0n; k += 2n, s *= sign) {
    sum += (s * power) / k;
    power /= n * n;
  }
  return sum;
}

/** Machin 1706: pi / 4 = 4 atan(1/5) - atan(1/239). */
const PI = 4n * (4n * arcSeries(5n, -1n) - arcSeries(239n, -1n));
const HALF_PI = PI / 2n;
/** ln 2 = 2 atanh(1/3). */
const LN2 = 2n * arcSeries(3n, 1n);

/** value = count * 2^(exponent - P): for results that leave the range of a fixed point. */
export interface BigReal {
  readonly count: bigint;
  readonly exponent: number;
}

export function bigExp(x: bigint): BigReal {
  const n = (2n * x + LN2) / (2n * LN2) - (2n * x + LN2 < 0n ? 1n : 0n);
  const r = x - n * LN2;
  let term = ONE;
  let sum = 0n;
  for (let k = 1n; term !== 0n; k++) {
    sum += term;
    term = mul(term, r) / k;
  }
  return { count: sum, exponent: Number(n) };
}

/** ln of an f64 > 0: ln 2^k m = k ln 2 + 2 atanh((m - 1) / (m + 1)). */
export function bigLog(x: number): bigint {
  let k = 0n;
  let m = x;
  for (; m >= 1.5; k++) m /= 2; // exact
  for (; m < 0.75; k--) m *= 2; // exact
  const big = bigOf(m);
  const s = div(big - ONE, big + ONE);
  const z = mul(s, s);
  let power = s;
  let sum = 0n;
  for (let j = 1n; abs(power) > 1n; j += 2n) {
    sum += power / j;
    power = mul(power, z);
  }
  return k * LN2 + 2n * sum;
}

/** x^y for f64 x > 0. */
export function bigPow(x: number, y: number): BigReal {
  return bigExp(mul(bigOf(y), bigLog(x)));
}

/** sin by its series, after taking out whole turns and halves. */
export function bigSin(x: bigint): bigint {
  const turns = x / (2n * PI);
  let r = x - turns * 2n * PI; // in (-2 pi, 2 pi)
  if (r > PI) r -= 2n * PI;
  if (r < -PI) r += 2n * PI;
  const z = mul(r, r);
  let term = r;
  let sum = 0n;
  for (let k = 1n; abs(term) > 1n; k += 2n) {
    sum += term;
    term = -mul(term, z) / ((k + 1n) * (k + 2n));
  }
  return sum;
}

export function bigCos(x: bigint): bigint {
  return bigSin(x + HALF_PI);
}

/** tanh x = (e^2x - 1) / (e^2x + 1), |x| < 100. */
export function bigTanh(x: bigint): bigint {
  const { count, exponent } = bigExp(2n * x);
  const e = exponent >= 0 ? count << BigInt(exponent) : count >> BigInt(-exponent);
  return div(e - ONE, e + ONE);
}

/** sqrt(pi), rounded down: the integer root of pi 2^2P, by Newton's iteration from above. */
const SQRT_PI = ((): bigint => {
  const square = PI << P;
  let root = 2n * ONE;
  for (let next = (root + square / root) / 2n; next < root; next = (root + square / root) / 2n) root = next;
  return root;
})();

/** erf x = 2 / sqrt(pi) (x - x^3 / (3 1!) + x^5 / (5 2!) - ...), |x| < 8: the largest term is below 2^90. */
export function bigErf(x: bigint): bigint {
  const z = mul(x, x);
  let term = x;
  let sum = 0n;
  for (let n = 0n; abs(term) > 1n; n++) {
    sum += term / (2n * n + 1n);
    term = -mul(term, z) / (n + 1n);
  }
  return div(2n * sum, SQRT_PI);
}

/** Bits of |a|: floor(log2 |a|) + 1. */
function bitLength(a: bigint): number {
  return abs(a).toString(2).length;
}

/** Significand bits and smallest normal exponent of binary64. */
const F64_BITS = 53;
const F64_MIN_EXPONENT = -1022;

/**
 * |got - exact| in units in the last place of `exact` (the gap between f64 numbers there; the subnormal gap below 2^-1022).
 * NaN where `got` is NaN, so that `error <= bound` fails; Infinity where an infinity should have been finite.
 */
export function ulpError(got: number, exact: BigReal | bigint): number {
  const { count, exponent } = typeof exact === 'bigint' ? { count: exact, exponent: 0 } : exact;
  if (!Number.isFinite(got)) return Number.isNaN(got) ? NaN : Infinity;
  const top = bitLength(count) - 1 + exponent - Number(P); // exact lies in [2^top, 2^(top + 1))
  const gap = Math.max(top, F64_MIN_EXPONENT) - (F64_BITS - 1);
  // Both sides as counts of 2^(gap - 40).
  const unit = gap - 40;
  return Number(abs(countOf(got, unit) - shifted(count, exponent - Number(P) - unit))) / 2 ** 40;
}

function shifted(a: bigint, by: number): bigint {
  return by >= 0 ? a << BigInt(by) : a >> BigInt(-by);
}

/** A finite f64 in units of 2^unit. */
function countOf(x: number, unit: number): bigint {
  if (x === 0) return 0n;
  const view = new DataView(new ArrayBuffer(8));
  view.setFloat64(0, x);
  const stored = (view.getUint32(0) >>> 20) & 0x7ff;
  const fraction = view.getBigUint64(0) & ((1n << 52n) - 1n);
  const significand = stored === 0 ? fraction : fraction | (1n << 52n);
  const magnitude = shifted(significand, Math.max(stored, 1) - 1075 - unit);
  return x < 0 ? -magnitude : magnitude;
}
