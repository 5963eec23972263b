import { exp } from '../core/math.ts';
import { F32_MIN, gamma, maxRow, sum64, sumRowRoundings } from '../core/sum.ts';
import type { Tensor } from '../core/tensor.ts';
import { rmsNorm64 } from '../ops/rms_norm.ts';
import { silu64 } from '../ops/silu.ts';
import { softmax64 } from '../ops/softmax.ts';
import { seenBy, type Visible } from '../ops/visible.ts';
import { type Bounded, ifFinite, wide } from './op_bounds.ts';

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
  const [nRows, dim] = x.shape as [number, number];
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
