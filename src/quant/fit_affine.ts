import { nearestCode } from './c_rounding.ts';

/**
 * The search that q2_k, q4_k and q5_k share: a scale and a minimum for one sub-block, so that scale * code - min is near x.
 *
 * It starts from the plain range, then tries `nSteps` + 1 slightly different step sizes; for each it rounds to codes and
 * solves the weighted least squares of x over (code, 1) for scale and minimum, and keeps what has the smallest weighted
 * error. All operations are f32, in ggml's order.
 * Source: make_qkx2_quants of ggml-quants.c.
 */
const { fround } = Math;

export interface AffineSearch {
  /** Codes are 0..maxCode. */
  readonly maxCode: number;
  /** Step sizes tried are range / (maxCode + first + i * step) for i = 0..nSteps; both are f32. */
  readonly first: number;
  readonly step: number;
  readonly nSteps: number;
  /** Error of an element: its distance (true) or the square of it (false), times its weight. */
  readonly byDistance: boolean;
}

export interface AffineFit {
  /** May come out negative for odd inputs, as it does in ggml. */
  readonly scale: number;
  /** What is subtracted; not negative: the grid always contains 0 or lies below it. */
  readonly min: number;
}

/** Fits x[from .. from + n), n = weights.length, all finite; codes[at .. at + n) get the codes of the best fit. */
export function fitAffine(
  x: Float32Array,
  from: number,
  weights: Float32Array,
  search: AffineSearch,
  codes: Uint8Array,
  at: number,
): AffineFit {
  const n = weights.length;
  const { maxCode } = search;
  let low = x[from]!; // the grid's lowest value, 0 at most
  let high = low;
  let sumW = weights[0]!;
  let sumX = fround(sumW * low);
  for (let i = 1; i < n; i++) {
    const v = x[from + i]!;
    if (v < low) low = v;
    if (v > high) high = v;
    sumW = fround(sumW + weights[i]!);
    sumX = fround(sumX + fround(weights[i]! * v));
  }
  if (low > 0) low = 0;
  if (high === low) {
    codes.fill(0, at, at + n);
    return { scale: 0, min: -low };
  }

  const inverse = fround(maxCode / fround(high - low));
  let scale = fround(1 / inverse);
  for (let i = 0; i < n; i++) codes[at + i] = nearestCode(fround(inverse * fround(x[from + i]! - low)), 0, maxCode);
  let leastError = errorOf(scale, low, x, from, weights, codes, at, search.byDistance);

  const trial = new Uint8Array(n);
  for (let step = 0; step <= search.nSteps; step++) {
    // From here on `low` is the best fit's: the range that later trials divide moves with it.
    const levels = fround(fround(search.first + fround(search.step * step)) + maxCode);
    const trialInverse = fround(levels / fround(high - low));
    let sumC = 0;
    let sumCC = 0;
    let sumXC = 0;
    for (let i = 0; i < n; i++) {
      const v = x[from + i]!;
      const code = nearestCode(fround(trialInverse * fround(v - low)), 0, maxCode);
      const wc = fround(weights[i]! * code);
      trial[i] = code;
      sumC = fround(sumC + wc);
      sumCC = fround(sumCC + fround(wc * code));
      sumXC = fround(sumXC + fround(wc * v));
    }
    const determinant = fround(fround(sumW * sumCC) - fround(sumC * sumC));
    if (!(determinant > 0)) continue;
    let trialScale = fround(fround(fround(sumW * sumXC) - fround(sumX * sumC)) / determinant);
    let trialLow = fround(fround(fround(sumCC * sumX) - fround(sumC * sumXC)) / determinant);
    if (trialLow > 0) {
      trialLow = 0;
      trialScale = fround(sumXC / sumCC);
    }
    const error = errorOf(trialScale, trialLow, x, from, weights, trial, 0, search.byDistance);
    if (error < leastError) {
      codes.set(trial, at);
      leastError = error;
      scale = trialScale;
      low = trialLow;
    }
  }
  return { scale, min: -low };
}

/** Weighted error of scale * code + low. */
function errorOf(
  scale: number,
  low: number,
  x: Float32Array,
  from: number,
  weights: Float32Array,
  codes: Uint8Array,
  at: number,
  byDistance: boolean,
): number {
  let error = 0;
  for (let i = 0; i < weights.length; i++) {
    const off = fround(fround(fround(scale * codes[at + i]!) + low) - x[from + i]!);
    error = fround(error + fround(weights[i]! * (byDistance ? Math.abs(off) : fround(off * off))));
  }
  return error;
}
