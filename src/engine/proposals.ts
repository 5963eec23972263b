import { ConfigError } from '../core/errors.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Session } from './session.ts';

/** Who guesses the next tokens, so that the model checks several in one run (docs/speculation.md). */
export type SpeculateOptions = LookupOptions | DraftOptions;

/** Prompt lookup: the last few ids are looked for earlier in the sequence, and what followed them there is the guess. */
export interface LookupOptions {
  readonly kind: 'lookup';
  /** Most tokens of one guess; DEFAULT_GUESS unless said. */
  readonly most?: number | undefined;
  /** Ids that must be found again for a guess: the longest run of at most `longest` (3) and at least `shortest` (2) ids. */
  readonly longest?: number | undefined;
  readonly shortest?: number | undefined;
}

/** A smaller model with the same vocabulary writes on, and what it writes is the guess. */
export interface DraftOptions {
  readonly kind: 'draft';
  readonly model: DraftModel;
  /** Most tokens of one guess; DEFAULT_GUESS unless said. */
  readonly most?: number | undefined;
}

/** What is needed of a draft model: each Model has it. */
export interface DraftModel {
  readonly info: { readonly name: string; readonly maxSeq: number };
  readonly tokenizer: Tokenizer;
  createSession(): Session;
}

/** Guesses get worse with each token, and a run of five tokens costs little more than a run of one. */
export const DEFAULT_GUESS = 4;
const DEFAULT_LONGEST = 3;
const DEFAULT_SHORTEST = 2;

/** Guesses tokens. A guess may be wrong in any way: what is generated does not depend on it. */
export interface Proposer {
  /** At most `most` tokens that may follow `ids`, of which nDrawn were generated; none where there is no guess. */
  propose(ids: readonly number[], most: number, nDrawn: number): Promise<readonly number[]>;
  dispose(): void;
}

/** Throws ConfigError that names the option, its value and what it may be. */
export function checkSpeculate(options: SpeculateOptions): void {
  const kind: unknown = options?.kind;
  if (kind !== 'lookup' && kind !== 'draft') {
    throw new ConfigError(`speculate has the kind ${JSON.stringify(kind)}, must be "lookup" or "draft"`);
  }
  positive('speculate: most', options.most ?? DEFAULT_GUESS);
  if (options.kind === 'draft') return;
  const { longest = DEFAULT_LONGEST, shortest = Math.min(longest, DEFAULT_SHORTEST) } = options;
  positive('speculate: longest', longest);
  positive('speculate: shortest', shortest);
  if (shortest > longest) {
    throw new ConfigError(`speculate: shortest is ${shortest}, must be at most longest, which is ${longest}`);
  }
}

export function lookupProposer(options: LookupOptions): Proposer {
  const { longest = DEFAULT_LONGEST, shortest = Math.min(longest, DEFAULT_SHORTEST) } = options;
  return {
    propose: async (ids, most) => lookUp(ids, { most, longest, shortest }),
    dispose() {},
  };
}

/**
 * What followed the last ids where they stood before. The longest end of `ids` of `longest` down to `shortest` ids that is there
 * earlier counts, of equal ones the latest place. A place so late that it runs into the end goes on with the guess itself:
 * 1 2 1 2 -> 1 2 1 2 ...  Gives `most` ids, or none. Costs O(T * longest).
 * Source: Saxena 2023, "Prompt Lookup Decoding".
 */
export function lookUp(
  ids: readonly number[],
  { most, longest, shortest }: { readonly most: number; readonly longest: number; readonly shortest: number },
): number[] {
  let bestLength = shortest - 1;
  let bestEnd = -1;
  for (let end = ids.length - 1; end >= shortest && bestLength < longest; end--) {
    let length = 0;
    while (length < longest && length < end && ids[end - 1 - length] === ids[ids.length - 1 - length]) length++;
    if (length > bestLength) {
      bestLength = length;
      bestEnd = end;
    }
  }
  if (bestEnd === -1) return [];
  const written = [...ids.slice(bestEnd)];
  for (let i = 0; written.length < most; i++) written.push(written[i]!);
  return written.slice(0, most);
}

function positive(name: string, value: unknown): void {
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 1) {
    throw new ConfigError(`${name} is ${String(value)}, must be an integer from 1`);
  }
}
