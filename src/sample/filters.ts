import { log } from '../core/math.ts';
import { sum64 } from '../core/sum.ts';
import { type Ranking, rankingOf, selectTop } from './ranking.ts';
import { maxOf, softmaxWeights } from './softmax.ts';

/**
 * The tokens that may still be chosen, by rising id, at least one; logits finite.
 * Sums over candidates go by rising id, so a filter that keeps all changes no bit of what follows.
 */
export interface Candidates {
  /** [n] */
  readonly ids: Int32Array;
  /** [n] */
  readonly logits: Float64Array;
}

/**
 * Keeps the k candidates of highest logit, of equal ones those of lower id; 0 keeps all.
 * Source: Fan, Lewis & Dauphin 2018, "Hierarchical Neural Story Generation".
 */
export function topK(candidates: Candidates, k: number): Candidates {
  if (k === 0 || k >= candidates.ids.length) return candidates;
  return keep(candidates, selectTop(candidates.logits, k));
}

/**
 * Keeps the fewest candidates, from the highest logit down (of equal ones the lower id first), whose probabilities
 * sum to at least p. 1 keeps all.
 * Source: Holtzman et al. 2020, "The Curious Case of Neural Text Degeneration".
 */
export function topP(candidates: Candidates, p: number): Candidates {
  if (p === 1) return candidates;
  const weights = softmaxWeights(candidates.logits, 1);
  return keep(candidates, headOfMass(rankingOf(candidates.logits), weights, p));
}

/**
 * Keeps candidates at least p times as likely as the likeliest: logit - max >= log p. 0 keeps all.
 * Source: Nguyen et al. 2024, "Turning Up the Heat: Min-p Sampling".
 */
export function minP(candidates: Candidates, p: number): Candidates {
  if (p === 0) return candidates;
  const { logits } = candidates;
  const max = maxOf(logits);
  const lowest = log(p);
  const kept: number[] = [];
  for (let i = 0; i < logits.length; i++) if (logits[i]! - max >= lowest) kept.push(i);
  return keep(candidates, kept);
}

/**
 * Keeps the fewest candidates whose probabilities sum to at least p, taken by rising |-log p_i - H| (of equal ones the
 * lower id first), where H = -sum_i p_i log p_i is the expected surprise. So the likeliest token may go. 1 keeps all.
 * Source: Meister et al. 2023, "Locally Typical Sampling".
 */
export function typicalP(candidates: Candidates, p: number): Candidates {
  if (p === 1) return candidates;
  const { logits } = candidates;
  const max = maxOf(logits);
  const weights = softmaxWeights(logits, 1);
  const total = sum64(weights, 0, weights.length);
  const logTotal = log(total);

  const surprise = logits.map((x) => logTotal - (x - max)); // -log p_i
  // A weight of 0 adds nothing; times a surprise that overflowed it would be NaN.
  const terms = weights.map((w, i) => (w === 0 ? 0 : w * surprise[i]!));
  const entropy = sum64(terms, 0, terms.length) / total;
  const nearness = surprise.map((s) => -Math.abs(s - entropy));
  return keep(candidates, headOfMass(rankingOf(nearness), weights, p));
}

/** The fewest first indices of a ranking, at least one, whose weights, added in its order, reach p times the sum of all. */
function headOfMass(ranking: Ranking, weights: Float64Array, p: number): number[] {
  const enough = p * sum64(weights, 0, weights.length);
  const head: number[] = [];
  let mass = 0;
  // Rounding may leave the sum of all just short of `enough`: then all are taken.
  for (let rank = 0; rank < ranking.size; rank++) {
    const i = ranking.at(rank);
    head.push(i);
    mass += weights[i]!;
    if (mass >= enough) break;
  }
  return head;
}

/** The candidates at these indices, by rising id again. */
function keep({ ids, logits }: Candidates, indices: ArrayLike<number>): Candidates {
  const rising = Int32Array.from(indices).sort();
  const kept = { ids: new Int32Array(rising.length), logits: new Float64Array(rising.length) };
  for (let i = 0; i < rising.length; i++) {
    kept.ids[i] = ids[rising[i]!]!;
    kept.logits[i] = logits[rising[i]!]!;
  }
  return kept;
}
