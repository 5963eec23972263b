import { F32_MIN, gamma, sumRowRoundings } from '../core/sum.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { expertOf, expertSizes } from '../ops/expert_linear.ts';
import { rowOfSlot, slotsByExpert } from '../ops/expert_slots.ts';
import { expertSum64 } from '../ops/expert_sum.ts';
import { expertWeights64 } from '../ops/expert_weights.ts';
import { type Bounded, ifFinite, roundingBound, wide } from './op_bounds.ts';

/** Error bounds of the ops of experts, in the manner of op_bounds.ts. What was chosen is an input here. */

/**
 * w = scale s / S, S = sum s. S is off by at most, relative to itself, rho = gamma(roundings + 1) sum |s| / |S|; the quotient
 * and the product round, and may underflow:
 *   |error| <= |w| ((1 + gamma(3)) / (1 - rho) - 1) + 2^-149 (|scale| + 1)
 * Not normalized, rho is 0.
 */
export function expertWeightsBounds(scores: Tensor, experts: Tensor, isNormalized: boolean, scale: number): Bounded {
  const [nRows, nChosen] = experts.shape as [number, number];
  const nExperts = scores.shape[1]!;
  const exact = expertWeights64(wide(scores), wide(experts), isNormalized, scale).data;
  const bound = new Float64Array(exact.length);
  for (let t = 0; t < nRows; t++) {
    let sum = 0;
    let sumAbs = 0;
    for (let j = 0; j < nChosen; j++) {
      const score = scores.data[t * nExperts + experts.data[t * nChosen + j]!]!;
      sum += score;
      sumAbs += Math.abs(score);
    }
    const rho = isNormalized ? (gamma(sumRowRoundings(nChosen) + 1) * sumAbs) / Math.abs(sum) : 0;
    for (let i = t * nChosen; i < (t + 1) * nChosen; i++) {
      const size = Math.abs(exact[i]!);
      const relative = (1 + gamma(3)) / (1 - rho) - 1;
      const reach = Math.max(
        isNormalized ? sumAbs : 0,
        size * (1 + relative),
        (size * (1 + relative)) / Math.abs(scale),
      );
      bound[i] = ifFinite(rho < 1 ? size * relative + F32_MIN * (Math.abs(scale) + 1) : Infinity, reach);
    }
  }
  return { exact, bound };
}

/** A product and up to nChosen - 1 additions: |error| <= gamma(nChosen + 1) sum |w||x| + nChosen 2^-149. */
export function expertSumBounds(x: Tensor, weights: Tensor): Bounded {
  const [nRows, nChosen] = weights.shape as [number, number];
  const dim = x.shape[1]! / nChosen;
  const bound = new Float64Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    for (let i = 0; i < dim; i++) {
      let sumAbs = 0;
      for (let j = 0; j < nChosen; j++) {
        sumAbs += Math.abs(weights.data[t * nChosen + j]! * x.data[(t * nChosen + j) * dim + i]!);
      }
      bound[t * dim + i] = roundingBound(nChosen + 1, sumAbs, nChosen);
    }
  }
  return { exact: expertSum64(wide(x), wide(weights)).data, bound };
}

/** The rows that the experts of each slot read, [T * nChosen, in]. */
export function slotRows(x: Tensor, w: Weight, experts: Tensor): Tensor {
  const sizes = expertSizes(x, w, experts);
  const { nRows, nChosen, nIn } = sizes;
  const rows = new Float32Array(nRows * nChosen * nIn);
  for (let slot = 0; slot < nRows * nChosen; slot++) {
    const from = rowOfSlot(slot, sizes);
    rows.set(x.data.subarray(from, from + nIn), slot * nIn);
  }
  return tensor([nRows * nChosen, nIn], rows);
}

/** Slot by slot the bounds of `ofLinear`: linearBounds or linearQ8Bounds. */
export function expertLinearBounds(
  x: Tensor,
  w: Weight,
  experts: Tensor,
  ofLinear: (x: Tensor, w: Weight) => Bounded,
): Bounded {
  const [nExperts, nOut, nIn] = w.shape as [number, number, number];
  const rows = slotRows(x, w, experts);
  const exact = new Float64Array(experts.data.length * nOut);
  const bound = new Float64Array(exact.length);
  slotsByExpert(experts.data, nExperts).forEach((slots, expert) => {
    for (const slot of slots) {
      const row = tensor([1, nIn], rows.data.subarray(slot * nIn, (slot + 1) * nIn));
      const one = ofLinear(row, expertOf(w, expert));
      exact.set(one.exact, slot * nOut);
      bound.set(one.bound, slot * nOut);
    }
  });
  return { exact, bound };
}
