import { rowBytes } from '../core/dtype.ts';
import { F32_MIN, gamma, sum64 } from '../core/sum.ts';
import type { Tensor, Weight } from '../core/tensor.ts';
import { attendMix64 } from '../ops/attend_mix.ts';
import { attendScores64 } from '../ops/attend_scores.ts';
import { linear64 } from '../ops/linear.ts';
import { innerSum, minSum } from '../ops/linear_q8.ts';
import { positionBias64 } from '../ops/position_bias.ts';
import { forEachPair, type RopeAngles, type RopeLayout, rope64 } from '../ops/rope.ts';
import type { Visible } from '../ops/visible.ts';
import { activationErrorBound, allocQuantizedRow, quantizeActivations } from '../quant/activations.ts';
import { allocCodedBlock } from '../quant/coded_block.ts';
import { codedFormat } from '../quant/codes.ts';
import { FORMATS } from '../quant/formats.ts';

/**
 * Error bounds of the f32 ops, per element, derived from the stated order of operations (law 4). Each function takes the
 * f32 inputs that an op was given, and applies the float64 form to those same inputs. This file has the ops that are sums of
 * products, or less; row_bounds.ts those with a root or an exponential.
 *
 * The model of f32: fl(a op b) = (a op b)(1 + d), |d| <= U = 2^-24; a product or quotient that underflows is off by 2^-150
 * more. n roundings in a row multiply by 1 + t, |t| <= gamma(n) = n U / (1 - n U). Each count below has one rounding more
 * than the f32 op has: U is 2^29 times what the float64 form can lose.
 * Source: Higham 2002, "Accuracy and Stability of Numerical Algorithms", 2nd ed., sections 2.2, 3.1 and 3.4.
 */
export interface Bounded {
  /** The float64 op on the recorded inputs. */
  readonly exact: Float64Array;
  /** Largest |f32 result - exact|. Infinity where an intermediate may leave the range of f32: nothing is promised there. */
  readonly bound: Float64Array;
}

/** The largest f32. */
const F32_MAX = 2 ** 128 - 2 ** 104;

/** `bound`, if everything on the way stays below the largest f32; else, and where `reach` is NaN, Infinity. */
export function ifFinite(bound: number, reach: number): number {
  return reach < F32_MAX ? bound : Infinity;
}

/** Bound of n roundings of terms whose magnitudes add up to sumAbs, with nProducts that may underflow. */
export function roundingBound(n: number, sumAbs: number, nProducts: number): number {
  return ifFinite(gamma(n) * sumAbs + nProducts * F32_MIN, sumAbs * (1 + gamma(n)));
}

/** Values that are moved, not computed. */
export function exactly(exact: Float64Array): Bounded {
  return { exact, bound: new Float64Array(exact.length) };
}

/** One rounding; a sum cannot underflow. (Here no rounding is spent on float64: U (1 - U) + 2^-53 < U.) */
export function addBounds(a: Tensor, b: Tensor): Bounded {
  const exact = Float64Array.from(a.data, (v, i) => v + b.data[i]!);
  return { exact, bound: exact.map((v) => roundingBound(1, Math.abs(v), 0)) };
}

/** As addBounds, each row with the same b. */
export function addBiasBounds(x: Tensor, b: Tensor): Bounded {
  const n = b.data.length;
  const exact = Float64Array.from(x.data, (v, i) => v + b.data[i % n]!);
  return { exact, bound: exact.map((v) => roundingBound(1, Math.abs(v), 0)) };
}

/** As addBounds, where something is seen; 0 elsewhere, exactly. */
export function positionBiasBounds(
  x: Tensor,
  positions: Int32Array,
  b: Tensor,
  visible: Visible,
  maxDistance: number,
): Bounded {
  const exact = positionBias64(wide(x), positions, wide(b), visible, maxDistance).data;
  return { exact, bound: exact.map((v) => (v === 0 ? 0 : roundingBound(1, Math.abs(v), 0))) };
}

/** One rounding, or underflow. The product of two f32 is exact in float64. */
export function mulBounds(a: Tensor, b: Tensor): Bounded {
  const exact = Float64Array.from(a.data, (v, i) => v * b.data[i]!);
  return { exact, bound: exact.map((v) => roundingBound(1, Math.abs(v), 1)) };
}

/** The factor's rounding, and the product's: |error| <= gamma(3) |y| + 2^-149, for a factor that is a normal f32. */
export function scaleBounds(x: Tensor, by: number): Bounded {
  const exact = Float64Array.from(x.data, (v) => v * by);
  return { exact, bound: exact.map((v) => roundingBound(3, Math.abs(v), 1)) };
}

/** Weights unpacked exactly: a product and up to in - 1 additions, |error| <= gamma(in + 1) sum |x||w| + in 2^-149. */
export function linearBounds(x: Tensor, w: Weight): Bounded {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const bound = new Float64Array(nRows * nOut);
  const row = new Float32Array(nIn);
  const nBytes = rowBytes(w.dtype, nIn);
  for (let o = 0; o < nOut; o++) {
    FORMATS[w.dtype].unpack(w.bytes, o * nBytes, row, 0, nIn);
    for (let t = 0; t < nRows; t++) {
      let sumAbs = 0;
      for (let k = 0; k < nIn; k++) sumAbs += Math.abs(x.data[t * nIn + k]! * row[k]!);
      bound[t * nOut + o] = roundingBound(nIn + 1, sumAbs, nIn);
    }
  }
  return { exact: linear64(wide(x), w).data, bound };
}

/**
 * Quantized activations: `exact` is float64 over the activations as they are rounded (quant/activations.ts), so that the
 * bound is that of the f32 arithmetic alone and stays tight. How far the rounded activations may be from the recorded ones
 * is `activationBounds`; the two together bound the distance to linear64.
 *
 * A block gives one term, (d da) inner, or two, where it has minima: - (dmin da) minInner. Per term: the rounding of the
 * integer sum, of the scales' product, of the term; then up to nTerms - 1 additions:
 *   |error| <= gamma(nTerms + 3) sum |term| + 2^-149 sum (|inner| + 1)
 */
export function linearQ8Bounds(x: Tensor, w: Weight): Bounded {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const format = codedFormat(w.dtype);
  const { blockSize, blockBytes, hasMins } = format;
  const nBlocks = nIn / blockSize;
  const exact = new Float64Array(nRows * nOut);
  const bound = new Float64Array(nRows * nOut);
  const row = allocQuantizedRow(nIn, blockSize);
  const block = allocCodedBlock(format);
  const terms = new Float64Array(nBlocks * (hasMins ? 2 : 1));
  for (let t = 0; t < nRows; t++) {
    quantizeActivations(x.data, t * nIn, nIn, row);
    for (let o = 0; o < nOut; o++) {
      let sumAbs = 0;
      let nUnderflows = 0;
      let reach = 0; // of the scales' products, which come before the sum
      let nTerms = 0;
      const addTerm = (scale: number, inner: number): void => {
        const term = scale * inner;
        terms[nTerms++] = term;
        sumAbs += Math.abs(term);
        nUnderflows += Math.abs(inner) + 1;
        reach += Math.abs(scale) * (1 + gamma(1));
      };
      for (let b = 0; b < nBlocks; b++) {
        format.read(w.bytes, o * rowBytes(w.dtype, nIn) + b * blockBytes, block);
        addTerm(block.d * row.scales[b]!, innerSum(format, block, row, b));
        if (hasMins) addTerm(-block.dmin * row.scales[b]!, minSum(format, block, row, b));
      }
      exact[t * nOut + o] = sum64(terms, 0, nTerms);
      bound[t * nOut + o] = ifFinite(roundingBound(nTerms + 3, sumAbs, nUnderflows), reach);
    }
  }
  return { exact, bound };
}

/** The activations of a quantized linear as they are rounded: d * code against x, within `activationErrorBound(d)`. */
export function activationBounds(x: Tensor, blockSize: number): Bounded & { readonly rounded: Float64Array } {
  const [nRows, nIn] = x.shape as [number, number];
  const bound = new Float64Array(x.data.length);
  const rounded = new Float64Array(x.data.length);
  const row = allocQuantizedRow(nIn, blockSize);
  for (let t = 0; t < nRows; t++) {
    quantizeActivations(x.data, t * nIn, nIn, row);
    for (let i = 0; i < nIn; i++) {
      const d = row.scales[Math.floor(i / blockSize)]!;
      rounded[t * nIn + i] = d * row.codes[i]!;
      bound[t * nIn + i] = ifFinite(activationErrorBound(d), d);
    }
  }
  return { exact: Float64Array.from(x.data), bound, rounded };
}

/**
 * y = x_a cos - x_b sin: the table's rounding, a product, a sum: gamma(4) (|x_a cos| + |x_b sin|). Underflow: two products,
 * and an entry of the table times x. Elements that are not turned are copied: bound 0.
 */
export function ropeBounds(
  x: Tensor,
  positions: Int32Array,
  angles: RopeAngles<Float64Array>,
  layout: RopeLayout,
): Bounded {
  const bound = new Float64Array(x.data.length);
  forEachPair(x, positions, angles, layout, (a, b, i) => {
    const [xa, xb] = [Math.abs(x.data[a]!), Math.abs(x.data[b]!)];
    const [c, s] = [Math.abs(angles.cos[i]!), Math.abs(angles.sin[i]!)];
    bound[a] = roundingBound(4, xa * c + xb * s, xa + xb + 2);
    bound[b] = roundingBound(4, xa * s + xb * c, xa + xb + 2);
  });
  return { exact: rope64(wide(x), positions, angles, layout).data, bound };
}

/**
 * scale * sum_d q k: a product, headDim - 1 additions, the scale's own rounding, its product:
 *   |error| <= gamma(headDim + 3) |scale| sum |q k| + 2^-149 (headDim |scale| + 1) = E,   |scale| a normal f32
 * With a cap: soft_cap does not spread what it is given, |c(s + e) - c(s)| <= |e|, and adds its own error (row_bounds.ts):
 *   |error| <= E + capError(|y| + E)
 */
export function attendScoresBounds(q: Tensor, k: Tensor, visible: Visible, scale: number, cap?: number): Bounded {
  const headDim = q.shape[2]!;
  const sums = attendScores64(magnitudes(q), magnitudes(k), visible, 1).data;
  const bound = sums.map((sumAbs) => {
    if (sumAbs === 0) return 0; // all products are exact zeros; also where nothing is computed
    const scaled = roundingBound(headDim + 3, sumAbs * Math.abs(scale), headDim * Math.abs(scale) + 1);
    return ifFinite(scaled, sumAbs * (1 + gamma(headDim)));
  });
  const exact = attendScores64(wide(q), wide(k), visible, scale, cap).data;
  if (cap === undefined) return { exact, bound };
  return { exact, bound: bound.map((e, i) => (e === 0 ? 0 : e + capError(Math.abs(exact[i]!) + e, cap))) };
}

/**
 * What soft_cap's own roundings make of a value of size y = cap tanh(x / cap). The cap's rounding and the quotient's move x / cap by
 * gamma(2) of itself, and tanh by no more of itself, since h tanh'(h) <= tanh(h); tanh32 adds three units, the cap again and the
 * product one each. Below the normal f32: half a unit of the quotient, and 1.5 of tanh32, times cap, and half a unit.
 *   |error| <= gamma(8) y + 2^-149 (2 cap + 1)
 */
export function capError(y: number, cap: number): number {
  return gamma(8) * y + F32_MIN * (2 * cap + 1);
}

/** sum_s p v over at most n = lengths[t] positions: gamma(n + 1) sum |p v| + n 2^-149. */
export function attendMixBounds(p: Tensor, v: Tensor, visible: Visible): Bounded {
  const sums = attendMix64(magnitudes(p), magnitudes(v), visible);
  const rowSize = sums.shape[1]! * sums.shape[2]!;
  const bound = sums.data.map((sumAbs, i) => {
    const n = visible.lengths[Math.floor(i / rowSize)]!;
    return roundingBound(n + 1, sumAbs, n);
  });
  return { exact: attendMix64(wide(p), wide(v), visible).data, bound };
}

/** The same numbers in float64. */
export function wide(x: Tensor): Tensor<Float64Array> {
  return { shape: x.shape, data: Float64Array.from(x.data) };
}

function magnitudes(x: Tensor): Tensor<Float64Array> {
  return { shape: x.shape, data: Float64Array.from(x.data, Math.abs) };
}
