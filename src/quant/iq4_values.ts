const { fround } = Math;

/**
 * The 16 values that codes of iq4_nl and iq4_xs stand for, spaced for weights that are near normally distributed: finer
 * around 0, 127 steps down and 113 up.
 * Source: kvalues_iq4nl of ggml-common.h.
 */
export const IQ4_VALUES: readonly number[] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/** The code of the value nearest to x, the upper one of two equally near; the last one for NaN. */
export function nearestIq4(x: number): number {
  let code = 0;
  while (code < IQ4_VALUES.length - 1 && !(2 * x < IQ4_VALUES[code]! + IQ4_VALUES[code + 1]!)) code++;
  return code;
}

/**
 * The scale for x[from .. from + n) whose least squares fit with weights x^2 explains most, tried over 1 + 2 nTrials step
 * sizes: `first`, then those that put `extreme` at IQ4_VALUES[0] + trial for trial = -nTrials..nTrials. `extreme` is the
 * element of largest magnitude; each step size is given as its inverse. All operations are f32, in ggml's order.
 * Source: quantize_row_iq4_nl_impl of ggml-quants.c without importance.
 */
export function fitIq4(
  x: Float32Array,
  from: number,
  n: number,
  extreme: number,
  first: number,
  nTrials: number,
): number {
  let { sumXQ, sumQQ } = sumsOf(x, from, n, first);
  let scale = sumQQ > 0 ? fround(sumXQ / sumQQ) : 0;
  let best = fround(scale * sumXQ);
  for (let trial = -nTrials; nTrials > 0 && trial <= nTrials; trial++) {
    ({ sumXQ, sumQQ } = sumsOf(x, from, n, fround((trial + IQ4_VALUES[0]!) / extreme)));
    if (sumQQ > 0 && fround(sumXQ * sumXQ) > fround(best * sumQQ)) {
      scale = fround(sumXQ / sumQQ);
      best = fround(scale * sumXQ);
    }
  }
  return scale;
}

/** sum w x q and sum w q^2 with w = x^2 and q the value nearest to x * inverse. */
function sumsOf(x: Float32Array, from: number, n: number, inverse: number): { sumXQ: number; sumQQ: number } {
  let sumXQ = 0;
  let sumQQ = 0;
  for (let i = from; i < from + n; i++) {
    const v = x[i]!;
    const q = IQ4_VALUES[nearestIq4(fround(inverse * v))]!;
    const wq = fround(fround(v * v) * q);
    sumXQ = fround(sumXQ + fround(wq * v));
    sumQQ = fround(sumQQ + fround(wq * q));
  }
  return { sumXQ, sumQQ };
}
