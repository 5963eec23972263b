import { ConfigError } from '../core/errors.ts';
import type { TokenLogprob } from './options.ts';
import { selectTop } from './ranking.ts';
import { logSumExp } from './softmax.ts';

export interface Logprobs {
  /** That of the chosen token. */
  readonly logprob: number;
  /** The likeliest tokens, likeliest first, of equally likely ones the lower id first. */
  readonly top: readonly TokenLogprob[];
}

/**
 * Natural log-probabilities, logits[i] - logSumExp(logits), of `id` and of the nTop likeliest tokens (all, if fewer).
 *
 * logits: the model's own, f64 [vocab], finite: no bias, penalty, filter or temperature has touched them, so they compare
 * between settings, and a banned token has one too.
 * Throws ConfigError unless nTop is an integer from 0.
 */
export function logprobsOf(logits: Float64Array, id: number, nTop: number): Logprobs {
  if (!Number.isSafeInteger(nTop) || nTop < 0) {
    throw new ConfigError(`top-logprobs is ${nTop}, must be an integer from 0; 0 lists none`);
  }
  const logTotal = logSumExp(logits);
  const top = Array.from(selectTop(logits, nTop), (i) => ({ id: i, logprob: logits[i]! - logTotal }));
  return { logprob: logits[id]! - logTotal, top };
}
