import { ConfigError } from '../core/errors.ts';
import { checkSeed } from '../core/rng.ts';

/**
 * How a token is chosen. Options act in the order of the fields; docs/decisions/0003-sampling-order.md says why.
 */
export interface SamplingOptions {
  /** Added to the logits of these token ids; -Infinity bans a token. */
  readonly logitBias: ReadonlyMap<number, number>;
  /** The three penalties look at the last so many ids of the history; 0 at none, Infinity at all. */
  readonly repeatLastN: number;
  /** Ids that were seen: positive logits are divided by it, others multiplied. 1 is off. */
  readonly repeatPenalty: number;
  /** Subtracted from an id's logit once for each time that it was seen. 0 is off. */
  readonly frequencyPenalty: number;
  /** Subtracted once from the logit of every id that was seen. 0 is off. */
  readonly presencePenalty: number;
  /** Keeps the k likeliest tokens; 0 keeps all. */
  readonly topK: number;
  /** Keeps the tokens whose surprise is nearest to the expected one, up to this mass; 1 is off. */
  readonly typicalP: number;
  /** Keeps the likeliest tokens, up to this mass; 1 is off. */
  readonly topP: number;
  /** Keeps tokens at least this many times as likely as the likeliest; 0 is off. */
  readonly minP: number;
  /** Logits are divided by it: below 1 the likeliest gain. 0 takes the likeliest after bias and penalties, always. */
  readonly temperature: number;
  /** Same seed and same logits, same tokens. */
  readonly seed: number | bigint;
}

/** One token and its natural log-probability in the model's own distribution: unmodified logits, temperature 1. */
export interface TokenLogprob {
  readonly id: number;
  readonly logprob: number;
}

/** What llama.cpp does when it is told nothing, except for the seed, which it draws: here a run can be repeated. */
export const DEFAULT_SAMPLING: SamplingOptions = {
  logitBias: new Map(),
  repeatLastN: 64,
  repeatPenalty: 1,
  frequencyPenalty: 0,
  presencePenalty: 0,
  topK: 40,
  typicalP: 1,
  topP: 0.95,
  minP: 0.05,
  temperature: 0.8,
  seed: 0,
};

interface Rule {
  readonly option: Exclude<keyof SamplingOptions, 'logitBias' | 'seed'>;
  readonly flag: string;
  isAllowed(value: number): boolean;
  /** What is allowed, in words, and the value that a reader may have meant. */
  readonly allowed: string;
}

const isCount = (v: number): boolean => Number.isSafeInteger(v) && v >= 0;
const isShare = (v: number): boolean => v > 0 && v <= 1;

const RULES: readonly Rule[] = [
  {
    option: 'temperature',
    flag: 'temperature',
    isAllowed: (v) => v >= 0 && v < Infinity,
    allowed: 'lie in [0, Infinity); 0 always takes the likeliest token',
  },
  { option: 'topK', flag: 'top-k', isAllowed: isCount, allowed: 'be an integer from 0; 0 keeps every token' },
  { option: 'topP', flag: 'top-p', isAllowed: isShare, allowed: 'lie in (0, 1]; 1 keeps every token' },
  {
    option: 'minP',
    flag: 'min-p',
    isAllowed: (v) => v >= 0 && v <= 1,
    allowed: 'lie in [0, 1]; 0 keeps every token',
  },
  { option: 'typicalP', flag: 'typical-p', isAllowed: isShare, allowed: 'lie in (0, 1]; 1 keeps every token' },
  {
    option: 'repeatPenalty',
    flag: 'repeat-penalty',
    isAllowed: (v) => v > 0 && v < Infinity,
    allowed: 'lie in (0, Infinity); 1 turns it off',
  },
  {
    option: 'repeatLastN',
    flag: 'repeat-last-n',
    isAllowed: (v) => v === Infinity || isCount(v),
    allowed: 'be an integer from 0, or Infinity for all tokens; 0 looks at none',
  },
  {
    option: 'frequencyPenalty',
    flag: 'frequency-penalty',
    isAllowed: Number.isFinite,
    allowed: 'be finite; 0 turns it off',
  },
  {
    option: 'presencePenalty',
    flag: 'presence-penalty',
    isAllowed: Number.isFinite,
    allowed: 'be finite; 0 turns it off',
  },
];

/** Throws ConfigError that names the first option out of range, its value, and what it may be. */
export function validateSampling(options: SamplingOptions): void {
  for (const { option, flag, isAllowed, allowed } of RULES) {
    const value: unknown = options[option];
    // A string would pass comparisons: '1' <= 1.
    if (typeof value !== 'number' || !isAllowed(value)) {
      const shown = typeof value === 'string' ? JSON.stringify(value) : String(value);
      throw new ConfigError(`${flag} is ${shown}, must ${allowed}`);
    }
  }
  checkSeed(options.seed);
  if (!(options.logitBias instanceof Map)) {
    throw new ConfigError('logit-bias is no Map; give new Map([[id, value], ...])');
  }
  for (const [id, bias] of options.logitBias) {
    if (!isCount(id)) {
      throw new ConfigError(`logit-bias names token id ${id}, must be an integer from 0; see "tokenize" for ids`);
    }
    if (!(bias < Infinity)) {
      throw new ConfigError(`logit-bias of token id ${id} is ${bias}, must be finite, or -Infinity to ban the token`);
    }
  }
}
