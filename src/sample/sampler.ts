import { assert } from '../core/errors.ts';
import type { Rng } from '../core/rng.ts';
import { type Candidates, minP, topK, topP, typicalP } from './filters.ts';
import { adjustLogits, allowedTokens, checkLogits, maskLogits, type TokenMask } from './logits.ts';
import { type Logprobs, logprobsOf, NO_LOGPROBS } from './logprobs.ts';
import type { SamplingOptions } from './options.ts';
import { selectTop } from './ranking.ts';
import { softmaxWeights } from './softmax.ts';

/** The chosen token; `logprob` and `top` are of the model's own distribution (see logprobs.ts), if they were asked for. */
export interface SampledToken extends Logprobs {
  readonly id: number;
}

/**
 * Room 8: logits in, one token id out.
 *
 * logits: f32 or f64 [vocab], not changed.  history: the ids so far, prompt included.  options: as `validateSampling` passed
 * them.  rng: one number is drawn, at temperature 0 none.  nTop: how many of the likeliest tokens to list; null leaves
 * out log-probabilities, the chosen token's too: over a large vocabulary they cost ten times what choosing does.
 * mask: the tokens that may be chosen, after bias and penalties and before the filters; undefined for all.
 * All arithmetic is f64 in a stated order, with exp and log of our own: same logits and same rng give the same token on
 * every host.
 * Throws KernelError for logits that are not finite, ConfigError when every token is banned or an option does not fit the
 * vocabulary, ShapeError for ids of the history outside it.
 */
export function sampleToken(
  logits: Float32Array | Float64Array,
  history: readonly number[],
  options: SamplingOptions,
  rng: Rng,
  nTop: number | null = 0,
  mask?: TokenMask,
): SampledToken {
  checkLogits(logits);
  const unmasked = adjustLogits(logits, history, options);
  const adjusted = mask === undefined ? unmasked : maskLogits(unmasked, mask);
  const allowed = likeliestAllowed(adjusted, options.temperature === 0 ? 1 : options.topK) ?? allowedTokens(adjusted);
  const id = options.temperature === 0 ? allowed.ids[0]! : drawFrom(allowed, options, rng);
  return { id, ...(nTop === null ? NO_LOGPROBS : logprobsOf(new Float64Array(logits), id, nTop)) };
}

/**
 * What top-k (k > 0) leaves of all allowed tokens, without a list of them all: the k highest logits, when none of these is
 * banned; undefined otherwise. Of a vocabulary of 150,000 that list is a megabyte.
 */
function likeliestAllowed(adjusted: Float32Array | Float64Array, k: number): Candidates | undefined {
  if (k === 0 || k >= adjusted.length) return undefined;
  const ids = selectTop(adjusted, k);
  if (adjusted[ids.at(-1)!] === -Infinity) return undefined;
  ids.sort();
  return { ids, logits: Float64Array.from(ids, (id) => adjusted[id]!) };
}

/** The filters, in their order (docs/decisions/0003-sampling-order.md). They do not depend on the temperature. */
export function filterCandidates(allowed: Candidates, options: SamplingOptions): Candidates {
  let candidates = topK(allowed, options.topK);
  candidates = typicalP(candidates, options.typicalP);
  candidates = topP(candidates, options.topP);
  return minP(candidates, options.minP);
}

/**
 * The index whose stretch of the weights' running sum holds u times the whole: index i with probability w[i] / sum(w).
 *
 * weights: f64 [n], >= 0, their sum normal and finite.  u: in [0, 1), a multiple of 2^-53.
 * A weight of 0 is never chosen, since the running sum does not rise there.
 */
export function drawIndex(weights: Float64Array, u: number): number {
  let total = 0;
  for (let i = 0; i < weights.length; i++) total += weights[i]!;
  // u <= 1 - 2^-53, so the product rounds to less than `total`, and the same sum, added once more, passes it.
  const target = u * total;
  let running = 0;
  for (let i = 0; i < weights.length; i++) {
    running += weights[i]!;
    if (running > target) return i;
  }
  assert(false, `a draw ends, here with u = ${u} and total = ${total}`);
}

function drawFrom(allowed: Candidates, options: SamplingOptions, rng: Rng): number {
  const { ids, logits } = filterCandidates(allowed, options);
  return ids[drawIndex(softmaxWeights(logits, options.temperature), rng.next())]!;
}
