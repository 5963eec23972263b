import { ConfigError } from '../core/errors.ts';
import { pow } from '../core/math.ts';
import { checkLogits } from './logits.ts';
import { type Ranking, rankingOf } from './ranking.ts';
import { logTotalWeight, maxOf } from './softmax.ts';
import type { FinishReason } from './stopping.ts';

/** Tokens that may follow a prompt. */
export interface Hypothesis {
  readonly ids: readonly number[];
  /** Natural log-probability of each id in the model's own distribution, given all before it; `logprob` is their sum, by rising index. */
  readonly logprobs: readonly number[];
  readonly logprob: number;
}

/** parent: which of the live ones of the step before it continues. */
export interface LiveHypothesis extends Hypothesis {
  readonly parent: number;
}

/** score: logprob / n^lengthPenalty, n = ids.length, an end token counts. */
export interface EndedHypothesis extends Hypothesis {
  readonly score: number;
  readonly finishReason: FinishReason;
}

export interface BeamRules {
  /** Most live hypotheses, and most that are kept when they have ended. */
  readonly nBeams: number;
  /** Above 0 long texts gain, below 0 short ones; 0 compares plain log-probabilities, each of which costs something. */
  readonly lengthPenalty: number;
  /** Why these ids end with their last one: an end token, a stop string. Undefined: they do not. */
  endOf(ids: readonly number[]): FinishReason | undefined;
  /** Why every text of n tokens ends: there is no room for another. Undefined: there is. */
  limitAt(n: number): FinishReason | undefined;
}

/** A search that is under way. Nothing here knows how logits are computed. */
export interface BeamSearch {
  /** By falling logprob: whose next logits are wanted. At first one without ids. */
  readonly live: readonly LiveHypothesis[];
  /** By falling score, of equal ones the earlier first; at most nBeams. */
  readonly ended: readonly EndedHypothesis[];
  readonly isDone: boolean;
  /** By score the best of those that have ended and those that live, were they to end here; null before the first token. */
  readonly best: Hypothesis | null;
  /**
   * Takes one more token. rows: logits [vocab] of each live hypothesis, in their order, not changed.
   * Throws KernelError for logits that are not finite.
   */
  step(rows: readonly (Float32Array | Float64Array)[]): void;
}

/** Each is a sequence of the cache and a row of logits in every run: far more than this fill the memory before the first token. */
const MOST_BEAMS = 1024;
/** Least and greatest exponent of a length: beyond them every score is the shortest or the longest text's. */
const MOST_LENGTH_PENALTY = 10;

/** Throws ConfigError naming the option, its value and what it may be. */
export function checkBeams(nBeams: number, lengthPenalty: number): void {
  if (!Number.isSafeInteger(nBeams) || nBeams < 1 || nBeams > MOST_BEAMS) {
    throw new ConfigError(
      `beams is ${nBeams}, must be an integer from 1 to ${MOST_BEAMS}; 1 follows the likeliest token only`,
    );
  }
  if (!(Math.abs(lengthPenalty) <= MOST_LENGTH_PENALTY)) {
    throw new ConfigError(
      `length-penalty is ${lengthPenalty}, must lie in -${MOST_LENGTH_PENALTY}..${MOST_LENGTH_PENALTY}; 0 turns it off`,
    );
  }
}

/**
 * Beam search: each step continues every live hypothesis by every token, ranks all of these by log-probability, and walks down the
 * ranking until nBeams are found that go on. Those that it meets on the way and that end are kept apart, the best nBeams by score.
 *
 * Ranking: falling logprob; ties by the parent's rank, then by the higher logit, then by the lower id. So a search has one result.
 * It is done when nothing is live, or when nBeams have ended and the best live one, if it ended here, would not come before the last of
 * them. A text that ends much later could still score higher (lengthPenalty above 0); it is not waited for.
 * All arithmetic is float64, with exp, log and pow of our own.
 * Source: Sutskever et al. 2014, "Sequence to Sequence Learning", section 3.2; the length penalty as in Wu et al. 2016, eq. 14, without its
 * constant 5.
 */
export function createBeamSearch({ nBeams, lengthPenalty, endOf, limitAt }: BeamRules): BeamSearch {
  checkBeams(nBeams, lengthPenalty);
  let live: LiveHypothesis[] = [{ ids: [], logprobs: [], logprob: 0, parent: 0 }];
  let ended: EndedHypothesis[] = [];

  const scoreOf = ({ logprob, ids }: Hypothesis): number => logprob / pow(ids.length, lengthPenalty);
  const end = (h: Hypothesis, finishReason: FinishReason): void => {
    const { ids, logprobs, logprob } = h;
    const score = scoreOf(h);
    const before = ended.findIndex((other) => other.score < score);
    ended.splice(before < 0 ? ended.length : before, 0, { ids, logprobs, logprob, score, finishReason });
    ended = ended.slice(0, nBeams);
  };

  return {
    get live() {
      return live;
    },
    get ended() {
      return ended;
    },
    get isDone() {
      const best = live[0];
      if (best === undefined) return true;
      return ended.length === nBeams && ended.at(-1)!.score >= scoreOf(best);
    },
    get best() {
      const [going, done] = [live[0], ended[0]];
      if (going === undefined || going.ids.length === 0) return done ?? null;
      return done !== undefined && done.score >= scoreOf(going) ? done : going;
    },
    step(rows) {
      const next: LiveHypothesis[] = [];
      for (const h of continuations(live, rows)) {
        if (next.length === nBeams) break;
        const finishReason = endOf(h.ids);
        if (finishReason === undefined) next.push(h);
        else end(h, finishReason);
      }
      const limit = limitAt(live[0]!.ids.length + 1);
      if (limit !== undefined) for (const h of next.splice(0)) end(h, limit);
      live = next;
    },
  };
}

/** The best continuation of one hypothesis that is not taken yet. */
interface Head {
  readonly row: Float64Array;
  readonly ranking: Ranking;
  /** logprob = logit - max - logTotal, as in logprobs.ts. */
  readonly max: number;
  readonly logTotal: number;
  rank: number;
  logprob: number;
  sum: number;
}

/** Every continuation of `live`, in the order of the ranking. */
function* continuations(
  live: readonly Hypothesis[],
  rows: readonly (Float32Array | Float64Array)[],
): Generator<LiveHypothesis, void, void> {
  const heads = live.map((h, i): Head => {
    checkLogits(rows[i]!);
    const row = Float64Array.from(rows[i]!);
    const head = { row, ranking: rankingOf(row), max: maxOf(row), logTotal: logTotalWeight(row), rank: -1 };
    return advance({ ...head, logprob: 0, sum: 0 }, h);
  });
  for (;;) {
    let parent = 0;
    for (let i = 1; i < heads.length; i++) if (heads[i]!.sum > heads[parent]!.sum) parent = i;
    const head = heads[parent]!;
    if (head.rank >= head.ranking.size) return;
    const { ids, logprobs } = live[parent]!;
    const id = head.ranking.at(head.rank);
    yield { ids: [...ids, id], logprobs: [...logprobs, head.logprob], logprob: head.sum, parent };
    advance(head, live[parent]!);
  }
}

/** Moves a head to its next rank; behind the last one it is below all others. */
function advance(head: Head, h: Hypothesis): Head {
  head.rank++;
  const isEmpty = head.rank >= head.ranking.size;
  head.logprob = isEmpty ? -Infinity : head.row[head.ranking.at(head.rank)]! - head.max - head.logTotal;
  head.sum = h.logprob + head.logprob;
  return head;
}
