import { exp, log } from '../core/math.ts';
import { sum64 } from '../core/sum.ts';

/** Largest element; -Infinity for none. Finite input, so the order of comparisons does not matter. */
export function maxOf(x: Float64Array): number {
  let max = -Infinity;
  for (let i = 0; i < x.length; i++) if (x[i]! > max) max = x[i]!;
  return max;
}

/**
 * w[i] = exp((x[i] - max(x)) / temperature): softmax without its division. x: finite f64 [n], temperature > 0.
 *
 * The largest weight is 1, so nothing overflows, and no sum of weights is 0. What lies too far below becomes 0.
 */
export function softmaxWeights(x: Float64Array, temperature: number): Float64Array {
  const max = maxOf(x);
  const w = new Float64Array(x.length);
  for (let i = 0; i < x.length; i++) w[i] = exp((x[i]! - max) / temperature);
  return w;
}

/** log(sum_i exp(x[i] - max(x))), the sum compensated and by rising index; in [0, log n]. x: finite f64 [n], n >= 1. */
export function logTotalWeight(x: Float64Array): number {
  const weights = softmaxWeights(x, 1);
  return log(sum64(weights, 0, weights.length));
}
