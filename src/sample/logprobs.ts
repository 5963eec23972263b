import { ConfigError } from '../core/errors.ts';
import type { TokenLogprob } from './options.ts';
import { selectTop } from './ranking.ts';
import { logTotalWeight, maxOf } from './softmax.ts';

export interface Logprobs {
  /** That of the chosen token. */
  readonly logprob: number;
  /** The likeliest tokens, likeliest first, of equally likely ones the lower id first. */
  readonly top: readonly TokenLogprob[];
}

/** When none were asked for. */
export const NO_LOGPROBS: Logprobs = { logprob: NaN, top: [] };

/**
 * Natural log-probabilities, (logits[i] - max) - log(sum_j exp(logits[j] - max)), of `id` and of the nTop likeliest tokens (all, if fewer).
 *
 * logits: the model's own, f64 [vocab], finite: no bias, penalty, filter or temperature has touched them, so they compare
 * between settings, and a banned token has one too.
 * Throws ConfigError unless nTop is an integer from 0.
 */
export function logprobsOf(logits: Float64Array, id: number, nTop: number): Logprobs {
  if (!Number.isSafeInteger(nTop) || nTop < 0) {
    throw new ConfigError(`top-logprobs is ${nTop}, must be an integer from 0; 0 lists none`);
  }
  const max = maxOf(logits);
  const logTotal = logTotalWeight(logits);
  const logprob = (i: number): number => logits[i]! - max - logTotal;
  const top = Array.from(selectTop(logits, nTop), (i) => ({ id: i, logprob: logprob(i) }));
  return { logprob: logprob(id), top };
}
