import { ConfigError } from '../core/errors.ts';
import { createRng } from '../core/rng.ts';
import { DEFAULT_SAMPLING, type SamplingOptions, type TokenLogprob, validateSampling } from '../sample/options.ts';
import { sampleToken } from '../sample/sampler.ts';
import { type FinishReason, finishAtId, finishAtLimit, type StopRules, validateStopping } from '../sample/stopping.ts';
import type { Reasoning, TextPart } from '../text/reasoning.ts';
import { createStreamDecoder } from '../text/stream_decoder.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { FormOptions, Forms } from './forms.ts';
import type { ShiftOptions } from './overflow.ts';
import type { SpeculateOptions } from './proposals.ts';

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
  /** Guesses tokens, so that one run checks several: the same pieces, often sooner (docs/speculation.md). */
  readonly speculate?: SpeculateOptions | undefined;
  /** Searches for the likeliest text, so many hypotheses at once (docs/beams.md), instead of choosing token by token. */
  readonly beams?: number | undefined;
  /** With beams: texts are ranked by log-probability over length^lengthPenalty; 1 unless said. */
  readonly lengthPenalty?: number | undefined;
  /** Pieces have `parts`: thoughts told apart from the answer, by the markers that the model's chat template has. */
  readonly reasoning?: boolean | undefined;
  /** Special tokens are in the text, by name: with some, models write calls of tools. End tokens are not. */
  readonly showSpecial?: boolean | undefined;
  /** Goes on when the context is full: the oldest tokens are dropped, and the next piece tells how many. */
  readonly overflow?: ShiftOptions | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** One generated token. The texts of all pieces, joined, are the output. */
export interface Piece {
  readonly id: number;
  /** What can be shown now: empty while a character, or what may become a stop string, is incomplete. */
  readonly text: string;
  /**
   * Natural logarithm of the token's probability under the model's own, unmodified distribution; NaN unless topLogprobs or
   * beams was given.
   */
  readonly logprob: number;
  readonly top: readonly TokenLogprob[];
  /** With `reasoning`: what of the text is certain now, without the markers. */
  readonly parts?: readonly TextPart[];
  /** With `overflow`, where tokens were dropped before this piece was computed: their number. */
  readonly dropped?: number;
}

/** Rooms 8 and 9 of one generation: what a sequence needs besides its logits, wherever these come from. */
export interface PieceMaker {
  /**
   * The next token and its text. history: the ids so far, prompt included. finishReason: it is the last one.
   * Throws what sampleToken throws.
   */
  next(
    logits: Float32Array | Float64Array,
    history: readonly number[],
  ): { readonly piece: Piece; readonly finishReason: FinishReason | undefined };
  /** With a grammar or a schema: whether the text so far is one of its texts. */
  readonly isComplete: boolean | undefined;
}

export interface PieceMakerParts {
  readonly tokenizer: Tokenizer;
  readonly forms: Forms;
  /** Positions that the sequence may have. */
  readonly maxSeq: number;
  /** The markers of the model's thoughts, where its template has some. */
  readonly reasoning?: Reasoning | null | undefined;
  /** Ids before the prompt, which a session has already; only a prompt of few ids needs them. */
  readonly past?: readonly number[];
}

/** Throws ConfigError for options out of range, and what Forms.begin throws for a grammar or a schema. */
export function createPieceMaker(
  { tokenizer, forms, maxSeq, reasoning = null, past = [] }: PieceMakerParts,
  prompt: readonly number[],
  options: GenerateOptions,
): PieceMaker {
  const sampling = samplingOf(options);
  validateSampling(sampling);
  const { maxTokens = Infinity, topLogprobs = null } = options;
  const rules: StopRules = { eosIds: tokenizer.eosIds, stopIds: new Set(options.stopIds), maxTokens, maxSeq };
  validateStopping(rules);
  for (const [name, list] of [
    ['stop', options.stop],
    ['stopIds', options.stopIds],
  ] as const) {
    if (list !== undefined && !Array.isArray(list)) throw new ConfigError(`${name} is ${String(list)}, must be a list`);
  }
  const rng = createRng(sampling.seed);
  const markers = options.reasoning === true ? reasoning : null;
  const spelled = options.showSpecial === true ? 'all' : markers?.spelled;
  const text = createStreamDecoder(tokenizer, {
    stop: options.stop ?? [],
    context: prompt,
    ...(spelled !== undefined && { spelled }),
  });
  const splitter = markers?.begin([...past, ...prompt]);
  const toldApart = (shown: string, isLast: boolean): Pick<Piece, 'parts'> => {
    if (options.reasoning !== true) return {};
    if (splitter === undefined) return { parts: shown === '' ? [] : [{ kind: 'answer', text: shown }] };
    return { parts: isLast ? [...splitter.push(shown), ...splitter.flush()] : splitter.push(shown) };
  };
  const form = forms.begin(options, rules, prompt);
  let genTokens = 0;

  return {
    next(logits, history) {
      const { id, logprob, top } = sampleToken(logits, history, sampling, rng, topLogprobs, form?.mask());
      genTokens++;
      let finishReason: FinishReason | undefined = finishAtId(id, rules);
      if (finishReason === undefined) form?.accept(id);
      let shown = finishReason === undefined ? text.push(id) : '';
      if (text.stopped !== null) finishReason = 'stop';
      if (form?.mustEnd) finishReason ??= 'grammar';
      finishReason ??= finishAtLimit(genTokens, history.length, rules);
      if (finishReason !== undefined) shown += text.flush();
      form?.shown(shown);
      const piece = { id, text: shown, logprob, top, ...toldApart(shown, finishReason !== undefined) };
      return { piece, finishReason };
    },
    get isComplete() {
      return form?.isComplete;
    },
  };
}

/** How tokens are chosen, defaults filled in. */
export function samplingOf(options: GenerateOptions): SamplingOptions {
  return { ...DEFAULT_SAMPLING, ...given(options) };
}

/** The options that have a value: one that is there but undefined means the default, too. */
function given(options: GenerateOptions): Partial<SamplingOptions> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}
