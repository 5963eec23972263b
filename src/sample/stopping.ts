import { ConfigError } from '../core/errors.ts';

/**
 * eos: an end token of the model; stop: a stop string or id; grammar: the text is complete, nothing can follow; length: maxTokens;
 * context: no position is left.
 */
export type FinishReason = 'eos' | 'stop' | 'grammar' | 'length' | 'context';

export interface StopRules {
  /** The model's own end tokens. */
  readonly eosIds: ReadonlySet<number>;
  /** Ids that the caller wants to end at. One that is an end token too counts as such. */
  readonly stopIds: ReadonlySet<number>;
  /** Most tokens to generate, at least 1; Infinity for as many as fit. */
  readonly maxTokens: number;
  /** Positions that the sequence may have. */
  readonly maxSeq: number;
}

/** Throws ConfigError that names the rule, its value, and what it may be. */
export function validateStopping({ stopIds, maxTokens, maxSeq }: StopRules): void {
  if (maxTokens !== Infinity && !(Number.isSafeInteger(maxTokens) && maxTokens >= 1)) {
    throw new ConfigError(`max-tokens is ${maxTokens}, must be an integer from 1; leave it out for as many as fit`);
  }
  if (!Number.isSafeInteger(maxSeq) || maxSeq < 1) {
    throw new ConfigError(`max-seq is ${maxSeq}, must be an integer from 1`);
  }
  for (const id of stopIds) {
    if (!Number.isSafeInteger(id) || id < 0) {
      throw new ConfigError(`stop id is ${id}, must be an integer from 0; see "tokenize" for ids`);
    }
  }
}

/** Why generation ends with this token, which then is not part of the text. Undefined: it does not. */
export function finishAtId(id: number, { eosIds, stopIds }: StopRules): 'eos' | 'stop' | undefined {
  if (eosIds.has(id)) return 'eos';
  return stopIds.has(id) ? 'stop' : undefined;
}

/**
 * Why generation ends after this token, which is part of the text, for want of room. Undefined: it goes on.
 * nGenerated: tokens so far, this one included. nPositions: positions taken, this one not included: running it takes one.
 */
export function finishAtLimit(
  nGenerated: number,
  nPositions: number,
  { maxTokens, maxSeq }: StopRules,
): 'length' | 'context' | undefined {
  if (nGenerated >= maxTokens) return 'length';
  return nPositions >= maxSeq ? 'context' : undefined;
}
