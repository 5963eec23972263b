import { ShapeError } from '../core/errors.ts';
import { match } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * Groups of neighbouring experts, of which some are chosen first: count groups, chosen of them taking part. A group's score is
 * the sum of its scoredBy best: of 1 in DeepSeek-V2, of 2 in V3.
 */
export interface ExpertGroups {
  readonly count: number;
  readonly chosen: number;
  readonly scoredBy: number;
}

/**
 * experts[t, 0 .. nChosen-1] = the experts with the largest scores[t, e], the largest first
 *
 * scores: [T, nExperts].  experts: [T, nChosen], whole numbers below nExperts, no two of a row alike.
 * Equal scores (+0 and -0 are equal): the lower number first. NaN ranks above every number, so that it reaches the result instead of being
 * passed over. groups: only experts of the best groups take part; groups are ranked in the same way, and their sums are float64.
 * It compares and computes nothing that is rounded: the same function in every tier, and any difference between tiers comes from
 * the scores. Throws ShapeError where checkChoice does.
 * Source: Shazeer et al. 2017, "Outrageously large neural networks", eq. 5; groups: DeepSeek-AI 2024, "DeepSeek-V2", 2.2.2.
 */
export function chooseExperts<A extends Float32Array | Float64Array>(
  scores: Tensor<A>,
  nChosen: number,
  groups?: ExpertGroups,
): Tensor<A> {
  match('scores', scores.shape, 'T nExperts', {});
  const [nRows, nExperts] = scores.shape as [number, number];
  checkChoice(nExperts, nChosen, groups);
  const chosen = scores.data.slice(0, nRows * nChosen) as A;
  for (let t = 0; t < nRows; t++) {
    const row = scores.data.subarray(t * nExperts, (t + 1) * nExperts);
    const candidates = groups === undefined ? upTo(nExperts) : ofBestGroups(row, groups);
    chosen.set(best(row, candidates, nChosen), t * nChosen);
  }
  return tensor([nRows, nChosen], chosen);
}

/** Throws ShapeError when nExperts cannot be chosen from in this way. */
export function checkChoice(nExperts: number, nChosen: number, groups?: ExpertGroups): void {
  const isCount = (n: number, most: number): boolean => Number.isInteger(n) && n >= 1 && n <= most;
  if (!isCount(nChosen, nExperts)) {
    throw new ShapeError(`choose_experts: cannot choose ${nChosen} of ${nExperts} experts`);
  }
  if (groups === undefined) return;
  const { count, chosen, scoredBy } = groups;
  const size = nExperts / count;
  if (!isCount(count, nExperts) || !Number.isInteger(size)) {
    throw new ShapeError(`choose_experts: ${nExperts} experts are not ${count} groups of one size`);
  }
  if (!isCount(chosen, count) || chosen * size < nChosen) {
    throw new ShapeError(`choose_experts: ${chosen} of ${count} groups of ${size} have no ${nChosen} experts`);
  }
  if (!isCount(scoredBy, size)) throw new ShapeError(`choose_experts: a group of ${size} has no best ${scoredBy}`);
}

/** The n best of `candidates`, which are rising; insertion keeps equal ones in their order. */
function best(scores: ArrayLike<number>, candidates: readonly number[], n: number): number[] {
  const found: number[] = [];
  for (const candidate of candidates) {
    let place = found.length;
    while (place > 0 && isAbove(scores[candidate]!, scores[found[place - 1]!]!)) place--;
    if (place === n) continue;
    found.splice(place, 0, candidate);
    if (found.length > n) found.pop();
  }
  return found;
}

function isAbove(a: number, b: number): boolean {
  return a > b || (Number.isNaN(a) && !Number.isNaN(b));
}

/** The experts of the best groups, by rising number. */
function ofBestGroups(scores: Float32Array | Float64Array, { count, chosen, scoredBy }: ExpertGroups): number[] {
  const size = scores.length / count;
  const sums = upTo(count).map((g) => {
    const own = scores.subarray(g * size, (g + 1) * size);
    return best(own, upTo(size), scoredBy).reduce((sum, e) => sum + own[e]!, 0);
  });
  return best(sums, upTo(count), chosen)
    .sort((a, b) => a - b)
    .flatMap((g) => upTo(size).map((e) => g * size + e));
}

function upTo(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}
