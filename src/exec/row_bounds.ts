import { exp } from '../core/math.ts';
import { EXP_FAST_FIT } from '../core/math_f32.ts';
import { F32_MIN, gamma, maxRow, sum64, sumRowRoundings } from '../core/sum.ts';
import type { Tensor } from '../core/tensor.ts';
import { gelu64 } from '../ops/gelu.ts';
import { geluTanh64 } from '../ops/gelu_tanh.ts';
import { layerNorm64 } from '../ops/layer_norm.ts';
import { QUICK_GELU_SLOPE, quickGelu64 } from '../ops/quick_gelu.ts';
import { rmsNorm64 } from '../ops/rms_norm.ts';
import { sigmoid64 } from '../ops/sigmoid.ts';
import { silu64 } from '../ops/silu.ts';
import { softCap64 } from '../ops/soft_cap.ts';
import { softmax64 } from '../ops/softmax.ts';
import { tanhOf64 } from '../ops/tanh.ts';
import { seenBy, type Visible } from '../ops/visible.ts';
import { type Bounded, capError, ifFinite, wide } from './op_bounds.ts';

/** Error bounds of the ops with a root or an exponential, in the manner of op_bounds.ts. */

/** exp32 is at most 1 ulp off (core/math_f32.ts): two units of U for normal results, 2^-149 for subnormal ones. */
const EXP_ROUNDINGS = 2;

/** e^x of anything lower rounds to 0 or to the smallest f32: both are within 2^-149 of the truth. */
const EXP_LOWEST = -104;

/** e^-x from here on may overflow, in exp32 or in the sum 1 + e^-x: 2^128 less a few ulp. */
const EXP_LARGEST = (2 ** 128 - 2 ** 104) * (1 - gamma(4));

/**
 * y = g x / sqrt(q), q = mean(x^2) + eps. All terms of q are positive, so roundings are relative errors of q:
 *   a square, its way through the sum, the division, the sum with eps:      rho = gamma(roundings + 3) + 2^-148 / q
 *   1 / sqrt turns 1 + rho into at most 1 + e:                              e = rho / (2 (1 - rho))
 *   the root, the reciprocal and two products round:                        |error| <= |y| ((1 + gamma(5))(1 + e) - 1)
 * 2^-148 covers underflow of the squares' mean, of the division and of eps; the two products add 2^-149 (|g| + 1).
 */
export function rmsNormBounds(x: Tensor, g: Tensor, eps: number): Bounded {
  const dim = x.shape.at(-1)!;
  const nRows = dim === 0 ? 0 : x.data.length / dim;
  const exact = rmsNorm64(wide(x), wide(g), eps).data;
  const bound = new Float64Array(exact.length);
  const nRoundings = sumRowRoundings(dim) + 3;
  for (let t = 0; t < nRows; t++) {
    const squares = Float64Array.from(x.data.subarray(t * dim, (t + 1) * dim), (v) => v * v);
    const sum = sum64(squares, 0, dim);
    const q = sum / dim + eps;
    const rho = gamma(nRoundings) + (2 * F32_MIN) / q;
    const e = rho < 1 ? rho / (2 * (1 - rho)) : Infinity;
    const relative = gamma(5) + e + gamma(5) * e;
    for (let i = t * dim; i < (t + 1) * dim; i++) {
      const y = Math.abs(exact[i]!);
      const limit = relative * y + F32_MIN * (Math.abs(g.data[i - t * dim]!) + 1);
      // y + limit is NaN or Infinity where e or an input is; the sum of squares is the largest number on the way.
      bound[i] = ifFinite(ifFinite(limit, y + limit), sum * (1 + gamma(nRoundings)));
    }
  }
  return { exact, bound };
}

/**
 * y = g d / sqrt(q) + b, d = x - m, q = mean(d^2) + eps.
 *   the mean m:       E_m = gamma(roundings + 2) mean |x| + 2^-149
 *   a difference d:   E_d = gamma(2) (|d| + E_m) + E_m
 *   q: squares of what is off by E_d, and the roundings of rmsNormBounds:
 *                     rho q = (1 + rho0) mean(2 |d| E_d + E_d^2) + rho0 q + 2^-148,  rho0 = gamma(roundings + 3)
 *   1 / sqrt turns 1 + rho into at most 1 + e, e = rho / (2 (1 - rho)); root, reciprocal and two products round:
 *                     E_p = |g| / sqrt(q) ((|d| + E_d)(1 + e)(1 + gamma(5)) - |d|) + 2^-149 (|g| + 1)
 *   the sum with b:   |error| <= E_p + gamma(2) (|y| + E_p)
 */
export function layerNormBounds(x: Tensor, g: Tensor, b: Tensor, eps: number): Bounded {
  const [nRows, dim] = x.shape as [number, number];
  const exact = layerNorm64(wide(x), wide(g), wide(b), eps).data;
  const bound = new Float64Array(exact.length);
  const nRoundings = sumRowRoundings(dim) + 3;
  const rho0 = gamma(nRoundings);
  for (let t = 0; t < nRows; t++) {
    const row = Float64Array.from(x.data.subarray(t * dim, (t + 1) * dim));
    const sumAbs = row.reduce((sum, v) => sum + Math.abs(v), 0);
    const mean = sum64(row, 0, dim) / dim;
    const meanError = (gamma(nRoundings) * sumAbs) / dim + F32_MIN;
    const size = row.map((v) => Math.abs(v - mean));
    const error = size.map((d) => gamma(2) * (d + meanError) + meanError);
    const squares = size.map((d) => d * d);
    const q = sum64(squares, 0, dim) / dim + eps;
    const squaresError = size.reduce((sum, d, i) => sum + 2 * d * error[i]! + error[i]! ** 2, 0) / dim;
    const rho = ((1 + rho0) * squaresError + rho0 * q + 2 * F32_MIN) / q;
    const e = rho < 1 ? rho / (2 * (1 - rho)) : Infinity;
    const reach =
      Math.max(
        sumAbs,
        size.reduce((sum, d, i) => sum + (d + error[i]!) ** 2, 0),
      ) *
      (1 + rho0);
    for (let i = 0; i < dim; i++) {
      const gain = Math.abs(g.data[i]!);
      const [d, off] = [size[i]!, error[i]!];
      const product = (gain / Math.sqrt(q)) * ((d + off) * (1 + e) * (1 + gamma(5)) - d) + F32_MIN * (gain + 1);
      const y = Math.abs(exact[t * dim + i]!);
      const limit = product + gamma(2) * (y + product);
      // Before the sum with b there is the product, which may be the larger one.
      const largest = y + limit + Math.abs(b.data[i]!) + d + off;
      bound[t * dim + i] = ifFinite(ifFinite(limit, largest), reach);
    }
  }
  return { exact, bound };
}

/** erf32 is at most 1.5 ulp off (core/math_f32.ts): three units of U. */
const ERF_ROUNDINGS = 3;

/**
 * y = x / 2 (1 + erf(h)), h = x / sqrt(2). The constant and the product are off by gamma(2) of h, which moves erf by at most
 * gamma(2) max |h erf'(h)| = gamma(2) sqrt(2 / (pi e)) < gamma(2) / 2; erf32 adds three units, the sum with 1, which is below 2, two:
 *   |error| <= |x| / 2 gamma(1 + 3 + 2 + 1) + gamma(3) |y| + 2^-148
 * The first is absolute: where x is far below 0, 1 + erf is what two numbers of size 1 leave.
 */
export function geluBounds(x: Tensor): Bounded {
  const exact = gelu64(wide(x)).data;
  const bound = exact.map((v, i) => {
    const size = Math.abs(x.data[i]!);
    return ifFinite((size / 2) * gamma(ERF_ROUNDINGS + 4) + gamma(3) * Math.abs(v) + 2 * F32_MIN, size);
  });
  return { exact, bound };
}

/** tanh32 is at most 1.5 ulp off (core/math_f32.ts): three units of U. */
const TANH_ROUNDINGS = 3;

/**
 * y = x / 2 (1 + tanh h), h = c x (1 + a x^2). Two constants and five operations, all terms of one sign, and one more for a
 * square that underflows beside the 1: h is off by d = gamma(8) of itself, which moves tanh by at most
 * d / (1 - d) max |h tanh'(h)| < gamma(9) / 2 (the maximum is 0.448). tanh32 adds three units, the sum with 1, which is below 2, two:
 *   |error| <= |x| / 2 gamma(5 + 3 + 2 + 1) + gamma(3) |y| + 2^-148
 * Where x^2 overflows, h does, and tanh is the sign of x in both tiers.
 */
export function geluTanhBounds(x: Tensor): Bounded {
  const exact = geluTanh64(wide(x)).data;
  const bound = exact.map((v, i) => {
    const size = Math.abs(x.data[i]!);
    return ifFinite((size / 2) * gamma(TANH_ROUNDINGS + 8) + gamma(3) * Math.abs(v) + 2 * F32_MIN, size);
  });
  return { exact, bound };
}

/** |error| <= 3 U |y| + 2^-149: tanh32 alone, and the float64 form rounded where it is compared. */
export function tanhBounds(x: Tensor): Bounded {
  const exact = tanhOf64(wide(x)).data;
  const bound = exact.map((v) => gamma(TANH_ROUNDINGS + 1) * Math.abs(v) + F32_MIN);
  return { exact, bound };
}

/** |error| <= gamma(8) |y| + 2^-149 (2 cap + 1): capError of op_bounds.ts. An infinite x / cap is capped as a large one is. */
export function softCapBounds(x: Tensor, cap: number): Bounded {
  const exact = softCap64(wide(x), cap).data;
  return { exact, bound: exact.map((v) => ifFinite(capError(Math.abs(v), cap), Math.abs(v))) };
}

/**
 * p_s = e_s / S, e_s = e^(x_s - max), S = sum e_s >= 1. The max is exact. With D = min(max - x_s, 104):
 *   the rounded difference is off by U D, which multiplies e_s by at most 1 + gamma(D); exp32 adds two units:
 *     e^_s = e_s (1 + t), |t| <= gamma(D + 2), and 2^-149 where it is subnormal
 *   all terms are positive, so S is off by at most, relative to S:
 *     rho = sum_s e_s gamma(D_s + 2 + roundings) / S + n 2^-148 / S
 *   |error| <= p ((1 + gamma(D + 4)) / (1 - rho) - 1) + 2^-148 / (1 - rho)
 * Positions that are not seen are 0.
 */
export function softmaxBounds(x: Tensor, visible: Visible): Bounded {
  const [nHeads, nRows, nPositions] = x.shape as [number, number, number];
  const exact = softmax64(wide(x), visible).data;
  const bound = new Float64Array(exact.length);
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nRows; t++) {
      const row = (h * nRows + t) * nPositions;
      const length = visible.lengths[t]!;
      const seen = seenBy(visible, t);
      const max = Math.max(...seen.map(([from, until]) => maxRow(x.data, row + from, until - from)));
      const below = (s: number): number => Math.min(max - x.data[row + s]!, -EXP_LOWEST);
      let sum = 0;
      let sumError = length * 2 * F32_MIN;
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) {
          const e = exp(x.data[row + s]! - max);
          sum += e;
          sumError += e * gamma(below(s) + EXP_ROUNDINGS + sumRowRoundings(length));
        }
      }
      const rho = sumError / sum;
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) {
          const relative = (1 + gamma(below(s) + EXP_ROUNDINGS + 2)) / (1 - rho) - 1;
          const limit = exact[row + s]! * relative + (2 * F32_MIN) / (1 - rho);
          bound[row + s] = ifFinite(rho < 1 ? limit : Infinity, sum);
        }
      }
    }
  }
  return { exact, bound };
}

/**
 * y = x / (1 + e^-x): exp32, the sum and the quotient, all of them relative since 1 + e^-x is positive and at least 1:
 *   |error| <= |y| gamma(5) + 2^-149 (|y| + 1)
 * Where e^-x overflows the result is -0: off by |y| itself, which is below 2^-121 there.
 */
export function siluBounds(x: Tensor): Bounded {
  const exact = silu64(wide(x)).data;
  const bound = exact.map((v, i) => {
    const y = Math.abs(v);
    const limit = exp(-x.data[i]!) < EXP_LARGEST ? y * gamma(EXP_ROUNDINGS + 3) : y;
    return ifFinite(limit + F32_MIN * (y + 1), Math.abs(x.data[i]!));
  });
  return { exact, bound };
}

/**
 * y = 1 / (1 + e^-x), as siluBounds: |error| <= y gamma(5) + 2^-149. Where e^-x overflows the result is +0, off by y itself.
 */
export function sigmoidBounds(x: Tensor): Bounded {
  const exact = sigmoid64(wide(x)).data;
  const bound = exact.map((y, i) => {
    const limit = exp(-x.data[i]!) < EXP_LARGEST ? y * gamma(EXP_ROUNDINGS + 3) : y;
    return limit + F32_MIN;
  });
  return { exact, bound };
}

/**
 * y = x / (1 + e^-z), z = 1.702 x. The constant and the product are off by gamma(2) of z, which multiplies e^-z by at most
 * 1 + t, t = e^(gamma(2) D) - 1, D = min(|z|, 104); of the sum 1 + e^-z that is the share s = e^-z / (1 + e^-z). The rest as siluBounds:
 *   |error| <= |y| ((1 + gamma(5)) / (1 - s t) - 1) + 2^-149 (|y| + 1)
 * Beyond 104 above 0 both exponentials are below 2^-149, far below the rounding of the sum.
 */
export function quickGeluBounds(x: Tensor): Bounded {
  const exact = quickGelu64(wide(x)).data;
  const bound = exact.map((v, i) => {
    const y = Math.abs(v);
    const z = QUICK_GELU_SLOPE * x.data[i]!;
    const t = exp(gamma(2) * Math.min(Math.abs(z), -EXP_LOWEST)) - 1;
    const e = exp(-z);
    const relative = (1 + gamma(EXP_ROUNDINGS + 3)) / (1 - (t * e) / (1 + e)) - 1;
    const limit = e * (1 + t) < EXP_LARGEST ? y * relative : y;
    return ifFinite(limit + F32_MIN * (y + 1), Math.abs(x.data[i]!));
  });
  return { exact, bound };
}

/**
 * As siluBounds, the exponential also off by d = EXP_FAST_FIT of itself: e^-x / (1 + e^-x) < 1, so that the sum is off by at
 * most d of itself, and the quotient by d / (1 - d):
 *   |error| <= |y| ((1 + gamma(EXP_ROUNDINGS + 3)) / (1 - d) - 1) + 2^-149 (|y| + 1)
 */
export function siluFastBounds(x: Tensor): Bounded {
  const exact = silu64(wide(x)).data;
  const bound = exact.map((v, i) => {
    const y = Math.abs(v);
    const relative = (1 + gamma(EXP_ROUNDINGS + 3)) / (1 - EXP_FAST_FIT) - 1;
    const isBelow = exp(-x.data[i]!) * (1 + EXP_FAST_FIT) < EXP_LARGEST;
    return ifFinite((isBelow ? y * relative : y) + F32_MIN * (y + 1), Math.abs(x.data[i]!));
  });
  return { exact, bound };
}
