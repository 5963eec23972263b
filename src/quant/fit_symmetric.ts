import { nearestCode } from './c_rounding.ts';
import { extremeIn } from './ggml_block.ts';

/**
 * The two searches for a scale alone, so that scale * code is near x: that of q6_k, and the one of q3_k.
 * Codes are -nHalf..nHalf - 1; the element of largest magnitude wants to be -nHalf, so a scale may be negative.
 * Elements weigh x^2. All operations are f32, in ggml's order.
 */
const { fround } = Math;

/** Blocks below this are all zeros to ggml (GROUP_MAX_EPS of ggml-quants.c). */
export const TINY = fround(1e-15);

/** 0.1 as f32: how much the number of levels differs from one trial to the next. */
const LEVEL_STEP = fround(0.1);
/** The middle, then the others: the order decides between equals. */
const TRIALS = [0, -9, -8, -7, -6, -5, -4, -3, -2, -1, 1, 2, 3, 4, 5, 6, 7, 8, 9];
/** Rounds of improvement at most, each over all elements. */
const ROUNDS = 5;

/**
 * The scale for x[from .. from + n): of 19 step sizes around extreme / -nHalf the one whose least squares fit explains most,
 * (sum w x c)^2 / sum w c^2. 0 for a block that is all but zero. q6_k finds its codes again from the stored scale, so only
 * codes of blocks without one matter: those are `codes`, plus nHalf.
 * Source: make_qx_quants of ggml-quants.c with rmse_type 1 and no weights.
 */
export function fitSymmetric(
  x: Float32Array,
  from: number,
  n: number,
  nHalf: number,
  codes: Uint8Array,
  at: number,
): number {
  const extreme = extremeIn(x, from, n);
  if (Math.abs(extreme) < TINY) {
    codes.fill(0, at, at + n);
    return 0;
  }
  let scale = 0;
  let best = 0;
  for (const trial of TRIALS) {
    const inverse = fround(-fround(nHalf + fround(LEVEL_STEP * trial)) / extreme);
    let sumXC = 0;
    let sumCC = 0;
    for (let i = 0; i < n; i++) {
      const v = x[from + i]!;
      const code = nearestCode(fround(inverse * v), -nHalf, nHalf - 1);
      const w = fround(v * v);
      sumXC = fround(sumXC + fround(fround(w * v) * code));
      sumCC = fround(sumCC + fround(fround(w * code) * code));
    }
    // The middle trial is kept in any case, the others where they are better.
    if (trial !== 0 && !(sumCC > 0 && fround(sumXC * sumXC) > fround(best * sumCC))) continue;
    for (let i = 0; i < n; i++) {
      codes[at + i] = nearestCode(fround(inverse * x[from + i]!), -nHalf, nHalf - 1) + nHalf;
    }
    scale = sumCC === 0 ? 0 : fround(sumXC / sumCC);
    best = fround(scale * sumXC);
  }
  return scale;
}

/**
 * The scale for x[from .. from + n), by moving one code at a time to where the fit of the others wants it, as long as that
 * explains more. 0 for a block that is all but zero. codes[at ...] = codes plus nHalf (plain 0 for such a block).
 * Source: make_q3_quants of ggml-quants.c with do_rmse.
 */
export function fitSymmetricByDescent(
  x: Float32Array,
  from: number,
  n: number,
  nHalf: number,
  codes: Uint8Array,
  at: number,
): number {
  const extreme = extremeIn(x, from, n);
  if (Math.abs(extreme) < TINY) {
    codes.fill(0, at, at + n);
    return 0;
  }
  const inverse = fround(-nHalf / extreme);
  const fitted = new Int8Array(n);
  let sumXC = 0;
  let sumCC = 0;
  for (let i = 0; i < n; i++) {
    const v = x[from + i]!;
    const code = nearestCode(fround(inverse * v), -nHalf, nHalf - 1);
    const w = fround(v * v);
    fitted[i] = code;
    sumXC = fround(sumXC + fround(fround(w * v) * code));
    sumCC = fround(sumCC + fround(fround(w * code) * code));
  }
  for (let round = 0; round < ROUNDS; round++) {
    let changed = false;
    for (let i = 0; i < n; i++) {
      const v = x[from + i]!;
      const w = fround(v * v);
      // Sums without element i, and the code that their scale wants for it.
      const old = fitted[i]!;
      let othersXC = fround(sumXC - fround(fround(w * v) * old));
      let othersCC = fround(sumCC - fround(fround(w * old) * old));
      if (!(othersXC > 0)) continue;
      const code = nearestCode(fround(fround(v * othersCC) / othersXC), -nHalf, nHalf - 1);
      if (code === old) continue;
      othersXC = fround(othersXC + fround(fround(w * v) * code));
      othersCC = fround(othersCC + fround(fround(w * code) * code));
      const explainsMore = fround(fround(othersXC * othersXC) * sumCC) > fround(fround(sumXC * sumXC) * othersCC);
      if (othersCC > 0 && explainsMore) {
        fitted[i] = code;
        sumXC = othersXC;
        sumCC = othersCC;
        changed = true;
      }
    }
    if (!changed) break;
  }
  for (let i = 0; i < n; i++) codes[at + i] = fitted[i]! + nHalf;
  return sumCC > 0 ? fround(sumXC / sumCC) : 0;
}
