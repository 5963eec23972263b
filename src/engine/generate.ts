import { ConfigError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import { createRng } from '../core/rng.ts';
import { DEFAULT_SAMPLING, type SamplingOptions, type TokenLogprob, validateSampling } from '../sample/options.ts';
import { sampleToken } from '../sample/sampler.ts';
import { type FinishReason, finishAtId, finishAtLimit, type StopRules, validateStopping } from '../sample/stopping.ts';
import { createStreamDecoder } from '../text/stream_decoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { Session } from './session.ts';
import type { FormOptions, Forms } from './structured.ts';

export interface GenerateOptions extends Partial<SamplingOptions>, FormOptions {
  /** Most tokens to generate; by default as many as the context has room for. */
  readonly maxTokens?: number;
  /** Generation ends before any of these texts. */
  readonly stop?: readonly string[];
  /** Generation ends at any of these ids, besides the model's own end tokens. */
  readonly stopIds?: readonly number[];
  /**
   * How many of the likeliest tokens each piece lists; 0 gives the chosen token's log-probability alone. Left out, none is
   * computed, which over a large vocabulary saves a millisecond or two a token.
   */
  readonly topLogprobs?: number;
  readonly signal?: AbortSignal | undefined;
}

/** One generated token. The texts of all pieces, joined, are the output. */
export interface Piece {
  readonly id: number;
  /** What can be shown now: empty while a character, or what may become a stop string, is incomplete. */
  readonly text: string;
  /**
   * Natural logarithm of the token's probability under the model's own, unmodified distribution; NaN unless topLogprobs was
   * given.
   */
  readonly logprob: number;
  readonly top: readonly TokenLogprob[];
}

export interface Summary {
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly genTokens: number;
  readonly genMs: number;
  /** With a grammar or a schema: whether the text is one of its texts, or ended too early. */
  readonly isComplete?: boolean;
}

/** What the corridor walks through: a session (rooms 4-7), forms (room 8), a tokenizer (room 9), a clock. */
export interface Corridor {
  readonly session: Session;
  readonly tokenizer: Tokenizer;
  readonly forms: Forms;
  readonly host: Host;
  /** Positions that the session may have. */
  readonly maxSeq: number;
}

/** The host gets a turn at least this often: a key press or a signal is noticed within a blink. */
const PAUSE_EVERY_MS = 20;

/**
 * The corridor: prompt ids in, pieces out, the only place that knows the order of the rooms.
 *
 * The prompt is run once; then each new id is sampled from the logits, decoded, given out, and run for the next logits.
 * Throws ConfigError for options out of range, CapacityError when the prompt does not fit, KernelError when logits are not
 * finite, and the signal's reason when it is aborted; what Forms.begin throws for a grammar or a schema.
 */
export async function* generate(
  { session, tokenizer, forms, host, maxSeq }: Corridor,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<Piece, Summary, void> {
  const sampling: SamplingOptions = { ...DEFAULT_SAMPLING, ...given(options) };
  validateSampling(sampling);
  const { signal, maxTokens = Infinity, topLogprobs = null } = options;
  const rules: StopRules = { eosIds: tokenizer.eosIds, stopIds: new Set(options.stopIds), maxTokens, maxSeq };
  validateStopping(rules);
  for (const [name, list] of [
    ['stop', options.stop],
    ['stopIds', options.stopIds],
  ] as const) {
    if (list !== undefined && !Array.isArray(list)) throw new ConfigError(`${name} is ${String(list)}, must be a list`);
  }
  const rng = createRng(sampling.seed);
  const text = createStreamDecoder(tokenizer, { stop: options.stop ?? [], context: prompt });
  const form = forms.begin(options, rules, prompt);

  const start = host.now();
  let logits = await session.append(prompt, { signal });
  const promptDone = host.now();
  let lastPause = promptDone;
  let finishReason: FinishReason | undefined;
  let genTokens = 0;
  while (finishReason === undefined) {
    signal?.throwIfAborted();
    const { id, logprob, top } = sampleToken(logits.data, session.ids, sampling, rng, topLogprobs, form?.mask());
    genTokens++;
    finishReason = finishAtId(id, rules);
    if (finishReason === undefined) form?.accept(id);
    let shown = finishReason === undefined ? text.push(id) : '';
    if (text.stopped !== null) finishReason = 'stop';
    if (form?.mustEnd) finishReason ??= 'grammar';
    finishReason ??= finishAtLimit(genTokens, session.ids.length, rules);
    if (finishReason !== undefined) shown += text.flush();
    form?.shown(shown);
    yield { id, text: shown, logprob, top };
    if (finishReason === undefined) logits = await session.append([id], { signal });
    if (host.now() - lastPause > PAUSE_EVERY_MS) {
      await host.pause();
      lastPause = host.now();
    }
  }
  return {
    finishReason,
    promptTokens: prompt.length,
    promptMs: promptDone - start,
    genTokens,
    genMs: host.now() - promptDone,
    ...(form !== undefined && { isComplete: form.isComplete }),
  };
}

/** The options that have a value: one that is there but undefined means the default, too. */
function given(options: GenerateOptions): Partial<SamplingOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
