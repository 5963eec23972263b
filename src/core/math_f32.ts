import { copySign, pow2F32 } from './bits.ts';
import { roundTiesToEven } from './rounding.ts';

/**
 * exp, tanh and erf in f32, with the same bits on every host.
 *
 * Each step is one f32 operation that WASM SIMD has too (add, sub, mul, div, min, max, neg, abs, nearest, conversion to
 * i32, shift, bit select), rounded by itself: no fused multiply-add. A kernel does the same steps in each of its lanes.
 * Both sides of a choice are computed and one is selected, so every input takes the same steps.
 *
 * Errors are measured against `math.ts`: every third f32 where a function bends (exp32 0.99, tanh32 1.33, erf32 1.36 ulp),
 * and a sweep of all bit patterns. The docs below promise a little more.
 * Polynomials are minimax fits (Lawson's reweighted least squares at Chebyshev nodes, each coefficient rounded to f32 before
 * the next ones are fitted); `fit` is the fit's own error, in units of 2^-24 of the result.
 */
const { fround } = Math;

/** x < EXP_LOW gives e^x < 2^-150, which rounds to 0; x > EXP_HIGH gives e^x > 2^128. Both leave room around the limit. */
const EXP_LOW = -104;
const EXP_HIGH = 89;
const LOG2_E = fround(Math.LOG2E);
/** ln 2 in two parts. The first has 15 bits, so its product with an |n| < 2^9 is exact. */
const LN2_HIGH = 0.693145751953125;
const LN2_LOW = fround(1.4286068203094173e-6);

/** e^r = 1 + r + r^2 (E2 + E3 r + ... + E6 r^4) for |r| <= ln(2) / 2; fit 0.06. */
const E2 = fround(0.4999999403953552);
const E3 = fround(0.1666652113199234);
const E4 = fround(0.04166828840970993);
const E5 = fround(0.008368703536689281);
const E6 = fround(0.0013818931765854359);

/**
 * e^x in f32. At most 1 ulp off, subnormal results included.
 *
 * NaN -> NaN; above ln(2^128) = 88.72...: Infinity; below ln(2^-150) = -103.97...: +0; +-0 -> 1.
 * x = n ln 2 + r, then e^x = 2^n e^r; 2^n is multiplied in two halves, since n reaches beyond the normal exponents. The
 * first half is exact, so a subnormal result is rounded once.
 */
export function exp32(x: number): number {
  const clamped = Math.min(Math.max(x, EXP_LOW), EXP_HIGH); // keeps NaN, as WASM's min and max do
  const n = roundTiesToEven(fround(clamped * LOG2_E));
  const r = fround(fround(clamped - fround(n * LN2_HIGH)) - fround(n * LN2_LOW));

  let q = E6;
  q = fround(fround(q * r) + E5);
  q = fround(fround(q * r) + E4);
  q = fround(fround(q * r) + E3);
  q = fround(fround(q * r) + E2);
  const tail = fround(r + fround(fround(r * r) * q));
  const p = fround(tail + 1);

  const whole = n | 0; // |n| <= 150; NaN -> 0, as i32x4.trunc_sat_f32x4_s; p is NaN then
  const half = whole >> 1;
  return fround(fround(p * pow2F32(half)) * pow2F32(whole - half));
}

/** e^r = 1 + r + r^2 (F2 + F3 r) for |r| <= ln(2) / 2. */
const F2 = fround(0.5039410591125488);
const F3 = fround(0.1666281521320343);
/** The largest relative error of that polynomial, rounded up. */
export const EXP_FAST_FIT = 1.2274e-4;

/**
 * e^x with a polynomial of degree 3, else as exp32: off by at most EXP_FAST_FIT of itself and exp32's own roundings.
 * For ops that an approximate pass puts in, and for nothing else.
 */
export function expFast32(x: number): number {
  const clamped = Math.min(Math.max(x, EXP_LOW), EXP_HIGH);
  const n = roundTiesToEven(fround(clamped * LOG2_E));
  const r = fround(fround(clamped - fround(n * LN2_HIGH)) - fround(n * LN2_LOW));
  const q = fround(fround(F3 * r) + F2);
  const p = fround(fround(r + fround(fround(r * r) * q)) + 1);
  const whole = n | 0;
  const half = whole >> 1;
  return fround(fround(p * pow2F32(half)) * pow2F32(whole - half));
}

/** Below this |x|, 1 - 2 / (e^2x + 1) would lose digits. */
const TANH_SMALL = 0.625;

/** tanh x = x + x^3 (T3 + T5 x^2 + ... + T11 x^8) for |x| <= TANH_SMALL; fit 0.08. */
const T3 = fround(-0.3333328068256378);
const T5 = fround(0.13331405818462372);
const T7 = fround(-0.05373651906847954);
const T9 = fround(0.020628198981285095);
const T11 = fround(-0.0056923567317426205);

/** tanh x in f32. At most 1.5 ulp off. NaN -> NaN; +-Infinity -> +-1; +-0 -> +-0. Odd: tanh32(-x) = -tanh32(x). */
export function tanh32(x: number): number {
  const a = Math.abs(x);

  const z = fround(a * a);
  let q = T11;
  q = fround(fround(q * z) + T9);
  q = fround(fround(q * z) + T7);
  q = fround(fround(q * z) + T5);
  q = fround(fround(q * z) + T3);
  const small = fround(a + fround(fround(a * z) * q));

  const large = fround(1 - fround(2 / fround(exp32(fround(a + a)) + 1)));

  return copySign(a < TANH_SMALL ? small : large, x);
}

/** Where erf changes from its odd polynomial to 1 - erfc; and where erf rounds to 1. */
const ERF_SMALL = 1;
const ERF_ONE = 4;

/** erf x = x + x (R0 + R1 x^2 + ... + R6 x^12) for |x| <= 1; fit 0.03. */
const R0 = fround(0.12837916612625122);
const R1 = fround(-0.3761262595653534);
const R2 = fround(0.11283578723669052);
const R3 = fround(-0.026853347197175026);
const R4 = fround(0.005187162663787603);
const R5 = fround(-0.0007997865322977304);
const R6 = fround(7.80698173912242e-5);

/** ln erfc x = C0 + C1 x + ... + C6 x^6 for 1 <= x <= 4; fit (of erf) 0.02. */
const C0 = fround(-0.0003415146202314645);
const C1 = fround(-1.127089262008667);
const C2 = fround(-0.6381446719169617);
const C3 = fround(-0.10310690850019455);
const C4 = fround(0.021838132292032242);
const C5 = fround(-0.0029476704075932503);
const C6 = fround(0.00018637946050148457);

/** erf x in f32. At most 1.5 ulp off. NaN -> NaN; +-Infinity -> +-1; +-0 -> +-0. Odd: erf32(-x) = -erf32(x). */
export function erf32(x: number): number {
  const a = Math.min(Math.abs(x), ERF_ONE);

  const z = fround(a * a);
  let q = R6;
  q = fround(fround(q * z) + R5);
  q = fround(fround(q * z) + R4);
  q = fround(fround(q * z) + R3);
  q = fround(fround(q * z) + R2);
  q = fround(fround(q * z) + R1);
  q = fround(fround(q * z) + R0);
  const small = fround(a + fround(a * q));

  let c = C6;
  c = fround(fround(c * a) + C5);
  c = fround(fround(c * a) + C4);
  c = fround(fround(c * a) + C3);
  c = fround(fround(c * a) + C2);
  c = fround(fround(c * a) + C1);
  c = fround(fround(c * a) + C0);
  const large = fround(1 - exp32(c));

  return copySign(a < ERF_SMALL ? small : large, x);
}
