import { ConfigError } from '../core/errors.ts';
import { allFinite } from '../core/finite.ts';
import type { Host } from '../core/host.ts';
import type { Executor } from '../exec/executor.ts';
import type { KvCache, KvSequence } from '../kvcache/cache.ts';
import {
  type BeamRules,
  checkBeams,
  createBeamSearch,
  type EndedHypothesis,
  type Hypothesis,
} from '../sample/beams.ts';
import { DEFAULT_SAMPLING } from '../sample/options.ts';
import { finishAtId, finishAtLimit, type StopRules, validateStopping } from '../sample/stopping.ts';
import { createStreamDecoder } from '../text/stream_decoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Summary } from './generate.ts';
import type { GenerateOptions, Piece } from './next_piece.ts';
import type { Session } from './session.ts';

export interface BeamParts {
  readonly executor: Executor;
  readonly cache: KvCache;
  readonly host: Host;
  readonly tokenizer: Tokenizer;
  readonly maxSeq: number;
  /** Most tokens in one run. */
  readonly prefillChunk: number;
  diagnose(ids: readonly number[]): Promise<never>;
}

export const DEFAULT_LENGTH_PENALTY = 1;

/** Options that choose among tokens in another way. */
const OTHER_CHOICES = [
  ...Object.keys(DEFAULT_SAMPLING),
  'grammar',
  'schema',
  'speculate',
  'topLogprobs',
  'reasoning',
  'showSpecial',
  'overflow',
] as const;

/** Throws ConfigError for beams out of range, and for an option that does not fit them. */
export function checkBeamOptions(options: GenerateOptions): void {
  const { beams, lengthPenalty } = options;
  if (beams === undefined) {
    if (lengthPenalty === undefined) return;
    throw new ConfigError(
      `length-penalty is ${lengthPenalty}, but nothing is ranked by it; say beams too, or leave it out`,
    );
  }
  checkBeams(beams, lengthPenalty ?? DEFAULT_LENGTH_PENALTY);
  const other = OTHER_CHOICES.find((name) => options[name as keyof GenerateOptions] !== undefined);
  if (other !== undefined) {
    throw new ConfigError(
      `${other} does not fit beams: a search takes the likeliest texts as they are; leave one of them out`,
    );
  }
}

/**
 * The corridor of a beam search: the prompt is run once, and each step is one run of the last token of every live hypothesis. They share the
 * prompt's rows, and those of a common beginning, as forks of one sequence. Pieces of the best text come when the search is done; all that
 * were kept are in the summary's `beams`, best first. Afterwards the session has the ids that `generate` leaves for this text.
 *
 * Throws what generate throws, and ConfigError for options that do not fit. A search that is aborted gives the pieces of the best text so far
 * before it throws the signal's reason: generate has given its own by then, too. The session then has the prompt.
 */
export async function* generateBeams(
  parts: BeamParts,
  session: Session,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<Piece, Summary, void> {
  const { executor, cache, host, tokenizer, maxSeq, prefillChunk } = parts;
  const { signal, beams = 1, lengthPenalty = DEFAULT_LENGTH_PENALTY } = options;
  checkBeamOptions(options);
  const start = host.now();
  const nPast = session.ids.length + prompt.length;
  const search = createBeamSearch({
    nBeams: beams,
    lengthPenalty,
    ...endings(tokenizer, prompt, nPast, maxSeq, options),
  });
  const first = await session.append(prompt, { signal });
  const promptDone = host.now();

  const past = [...session.ids];
  const owned = new Set<KvSequence>();
  const own = (sequence: KvSequence): KvSequence => {
    owned.add(sequence);
    return sequence;
  };
  let reason: { readonly of: unknown } | undefined;
  try {
    let sequences = [own(cache.fork(session.sequence))];
    let rows: (Float32Array | Float64Array)[] = [first.data];
    for (;;) {
      signal?.throwIfAborted();
      search.step(rows);
      if (search.isDone) break;
      // Each goes on in its parent's rows, the first child in these themselves, the others in forks; what nobody continues is given back.
      const parents = search.live.map(({ parent }) => parent);
      for (const [i, sequence] of sequences.entries()) {
        if (parents.includes(i)) continue;
        owned.delete(sequence);
        cache.release(sequence);
      }
      sequences = parents.map((parent, i) => {
        const isFirst = parents.indexOf(parent) === i;
        return isFirst ? sequences[parent]! : own(cache.fork(sequences[parent]!));
      });
      rows = [];
      for (let from = 0; from < sequences.length; from += prefillChunk) {
        const group = sequences.slice(from, from + prefillChunk);
        const position = cache.length(group[0]!);
        for (const sequence of group) cache.reserve(sequence, 1);
        const { data, vocab } = executor.run(
          {
            ids: Int32Array.from(group, (_, i) => search.live[from + i]!.ids.at(-1)!),
            positions: Int32Array.from(group, () => position),
            segments: group.map((sequence, i) => ({ sequence, from: i, count: 1 })),
            outRows: Int32Array.from(group, (_, i) => i),
          },
          cache,
        );
        for (let i = 0; i < group.length; i++) {
          const row = data.subarray(i * vocab, (i + 1) * vocab);
          if (!allFinite(row)) await parts.diagnose([...past, ...search.live[from + i]!.ids]);
          rows.push(row);
        }
      }
      await host.pause();
    }
  } catch (error) {
    if (!isAbort(error, signal)) throw error;
    reason = { of: error };
  } finally {
    for (const sequence of owned) cache.release(sequence);
  }
  if (reason !== undefined) {
    if (search.best !== null) yield* spell(search.best, tokenizer, prompt, options).pieces;
    throw reason.of;
  }

  const best = search.ended[0]!;
  const { pieces } = spell(best, tokenizer, prompt, options);
  try {
    if (best.ids.length > 1) await session.append(best.ids.slice(0, -1), { signal });
  } catch (error) {
    if (isAbort(error, signal)) yield* pieces;
    throw error;
  }
  yield* pieces;
  return {
    finishReason: best.finishReason,
    promptTokens: prompt.length,
    promptMs: promptDone - start,
    genTokens: best.ids.length,
    genMs: host.now() - promptDone,
    beams: search.ended.map((ended) => {
      const { ids, logprob, score, finishReason } = ended;
      return { text: spell(ended, tokenizer, prompt, options).text, ids, logprob, score, finishReason };
    }),
  };
}

function isAbort(error: unknown, signal: AbortSignal | undefined): boolean {
  return signal?.aborted === true && error === signal.reason;
}

/** Where texts end: the rules of `generate`. */
function endings(
  tokenizer: Tokenizer,
  prompt: readonly number[],
  nPast: number,
  maxSeq: number,
  { stop = [], stopIds, maxTokens = Infinity }: GenerateOptions,
): Pick<BeamRules, 'endOf' | 'limitAt'> {
  const rules: StopRules = { eosIds: tokenizer.eosIds, stopIds: new Set(stopIds), maxTokens, maxSeq };
  validateStopping(rules);
  const decoder = () => createStreamDecoder(tokenizer, { stop, context: prompt });
  decoder(); // stop strings that can never be found are refused before anything runs
  return {
    endOf(ids) {
      const reason = finishAtId(ids.at(-1)!, rules);
      if (reason !== undefined || stop.length === 0) return reason;
      const text = decoder();
      for (const id of ids) text.push(id);
      return text.stopped === null ? undefined : 'stop';
    },
    // The last token is not run, so the positions before it count.
    limitAt: (n) => finishAtLimit(n, nPast + n - 1, rules),
  };
}

/** The text of a hypothesis in the pieces that `generate` would give. */
function spell(
  { ids, logprobs, finishReason }: Hypothesis & Partial<Pick<EndedHypothesis, 'finishReason'>>,
  tokenizer: Tokenizer,
  prompt: readonly number[],
  { stop = [], stopIds = [] }: GenerateOptions,
): { readonly text: string; readonly pieces: Piece[] } {
  const decoder = createStreamDecoder(tokenizer, { stop, context: prompt });
  const isEndId = finishReason === 'eos' || (finishReason === 'stop' && stopIds.includes(ids.at(-1)!));
  const pieces = ids.map((id, i): Piece => {
    const isLast = i === ids.length - 1;
    const shown = isLast && isEndId ? '' : decoder.push(id);
    return { id, text: isLast ? shown + decoder.flush() : shown, logprob: logprobs[i]!, top: [] };
  });
  return { text: pieces.map((piece) => piece.text).join(''), pieces };
}
