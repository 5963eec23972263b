import { ConfigError, KernelError, ShapeError } from '../core/errors.ts';
import type { Candidates } from './filters.ts';
import type { SamplingOptions } from './options.ts';

/** Throws KernelError that names the first logit that is not finite; ShapeError where there are none. */
export function checkLogits(logits: Float32Array | Float64Array): void {
  if (logits.length === 0) throw new ShapeError('logits: there are 0, expected one for each token of the vocabulary');
  for (let id = 0; id < logits.length; id++) {
    if (!Number.isFinite(logits[id]!)) {
      throw new KernelError(
        `logits: the one of token id ${id} is ${logits[id]}, must be finite, so nothing was sampled; ` +
          `look for the cause with --executor naive64`,
      );
    }
  }
}

/**
 * The logits [vocab] after bias and penalties: `logits` itself when nothing is to be changed, else f64. In this order:
 *
 *   x += bias                                            ids of logitBias; -Infinity is a ban
 *   x  = x > 0 ? x / repeatPenalty : x * repeatPenalty   ids seen
 *   x -= n * frequencyPenalty + presencePenalty          ids seen n >= 1 times
 *
 * "Seen" is: among the last `repeatLastN` ids of `history`, prompt included.
 * Throws ConfigError for a biased id outside the vocabulary and where a result overflows, ShapeError for such an id of the
 * history.
 * Source: Keskar et al. 2019, "CTRL", section 4.1; dividing a negative logit would raise it, so it is multiplied, as all
 * engines do. Frequency and presence: OpenAI API reference, "Advanced usage: parameter details".
 */
export function adjustLogits<L extends Float32Array | Float64Array>(
  logits: L,
  history: readonly number[],
  { logitBias, repeatLastN, repeatPenalty, frequencyPenalty, presencePenalty }: SamplingOptions,
): L | Float64Array {
  const hasPenalty = repeatPenalty !== 1 || frequencyPenalty !== 0 || presencePenalty !== 0;
  const counts = hasPenalty ? countLast(history, repeatLastN) : new Map<number, number>();
  if (logitBias.size === 0 && counts.size === 0) return logits;

  const adjusted = new Float64Array(logits);
  for (const [id, bias] of logitBias) {
    if (!(id < logits.length)) {
      throw new ConfigError(`logit-bias names token id ${id}, the vocabulary is 0..${logits.length - 1}`);
    }
    adjusted[id]! += bias;
  }
  for (const [id, n] of counts) {
    const x = adjusted[id];
    if (x === undefined) {
      throw new ShapeError(`history: token id ${id} is outside the vocabulary 0..${logits.length - 1}`);
    }
    adjusted[id] = (x > 0 ? x / repeatPenalty : x * repeatPenalty) - (n * frequencyPenalty + presencePenalty);
  }
  for (const id of [...logitBias.keys(), ...counts.keys()]) checkAdjusted(id, adjusted[id]!, logitBias);
  return adjusted;
}

/** How often each id occurs among the last n of `history`. */
function countLast(history: readonly number[], n: number): Map<number, number> {
  const counts = new Map<number, number>();
  for (let t = Math.max(0, history.length - n); t < history.length; t++) {
    const id = history[t]!;
    counts.set(id, (counts.get(id) ?? 0) + 1);
  }
  return counts;
}

/** A ban is asked for, never the outcome of an overflow. */
function checkAdjusted(id: number, x: number, logitBias: ReadonlyMap<number, number>): void {
  if (Number.isFinite(x) || (x === -Infinity && logitBias.get(id) === -Infinity)) return;
  throw new ConfigError(
    `token id ${id}: its logit is ${x} after logit-bias and penalties, must be finite; give smaller ones (a bias of -Infinity bans)`,
  );
}

/** All tokens but the banned ones (logit -Infinity). Throws ConfigError when none is left. */
export function allowedTokens(adjusted: Float32Array | Float64Array): Candidates {
  const ids = new Int32Array(adjusted.length);
  let n = 0;
  for (let id = 0; id < adjusted.length; id++) if (adjusted[id] !== -Infinity) ids[n++] = id;
  if (n === adjusted.length) return { ids, logits: new Float64Array(adjusted) };
  if (n === 0) throw new ConfigError(`logit-bias bans all ${adjusted.length} tokens; leave at least one`);
  const kept = ids.slice(0, n);
  return { ids: kept, logits: Float64Array.from(kept, (id) => adjusted[id]!) };
}

/** Which tokens may be chosen, and what says so, for an error. Bit `id & 31` of word `id >> 5`; ids behind the last word may not. */
export interface TokenMask {
  readonly bits: Uint32Array;
  readonly why: string;
}

/**
 * A copy in f64 [vocab] in which all tokens but those of the mask are banned. Throws ConfigError when none is left.
 * A mask that allows all changes no value.
 */
export function maskLogits(adjusted: Float32Array | Float64Array, { bits, why }: TokenMask): Float64Array {
  const masked = new Float64Array(adjusted.length).fill(-Infinity);
  let nInMask = 0;
  let nLeft = 0;
  for (let word = 0; word < bits.length; word++) {
    // Most words of most masks are empty. The lowest set bit is rest & -rest.
    for (let rest = bits[word]!; rest !== 0; rest &= rest - 1) {
      const id = word * 32 + 31 - Math.clz32(rest & -rest);
      if (id >= masked.length) break;
      nInMask++;
      masked[id] = adjusted[id]!;
      if (adjusted[id] !== -Infinity) nLeft++;
    }
  }
  if (nLeft > 0) return masked;
  throw new ConfigError(
    nInMask === 0
      ? `${why} allows no token of the vocabulary here: its bytes are in none of them; allow other texts`
      : `logit-bias bans all ${nInMask} tokens that ${why} allows here; leave at least one`,
  );
}
