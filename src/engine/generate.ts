import type { Host } from '../core/host.ts';
import type { FinishReason } from '../sample/stopping.ts';
import type { Reasoning } from '../text/reasoning.ts';
import type { Tokenizer } from '../text/tokenizer.ts';
import type { LoadForms } from './lazy_forms.ts';
import { createPieceMaker, type GenerateOptions, type Piece } from './next_piece.ts';
import type { Session } from './session.ts';

export type { GenerateOptions, Piece };

export interface Summary {
  readonly finishReason: FinishReason;
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly genTokens: number;
  readonly genMs: number;
  /** With a grammar or a schema: whether the text is one of its texts, or ended too early. */
  readonly isComplete?: boolean;
  /** With `speculate`: runs after the prompt, tokens that were guessed for them, and how many of these were right. */
  readonly speculation?: Speculation;
  /** With `beams`: the best texts, best first; the pieces are those of the first one. */
  readonly beams?: readonly Beam[];
}

export interface Speculation {
  readonly nRuns: number;
  readonly nProposed: number;
  readonly nAccepted: number;
}

/** One of the best texts that a search has found. */
export interface Beam {
  readonly text: string;
  /** All that were generated, an end token included. */
  readonly ids: readonly number[];
  /** Natural log-probability of all ids together, and that over ids.length^lengthPenalty: what beams are ranked by. */
  readonly logprob: number;
  readonly score: number;
  readonly finishReason: FinishReason;
}

/** What the corridor walks through: a session (rooms 4-7), forms (room 8), a tokenizer (room 9), a clock. */
export interface Corridor {
  readonly session: Session;
  readonly tokenizer: Tokenizer;
  readonly forms: LoadForms;
  readonly host: Host;
  /** Positions that the session may have. */
  readonly maxSeq: number;
  /** The markers of the model's thoughts, where its template has some. */
  readonly reasoning?: Reasoning | null | undefined;
}

/** What is walked here: of a session, ids and append. */
export type Walk = Omit<Corridor, 'session'> & { readonly session: Pick<Session, 'ids' | 'append'> };

/** The host gets a turn at least this often: a key press or a signal is noticed within a blink. */
export const PAUSE_EVERY_MS = 20;

/**
 * The corridor: prompt ids in, pieces out, the only place that knows the order of the rooms.
 *
 * The prompt is run once; then each new id is sampled from the logits, decoded, given out, and run for the next logits.
 * Throws ConfigError for options out of range, CapacityError when the prompt does not fit, KernelError when logits are not
 * finite, and the signal's reason when it is aborted; what Forms.begin throws for a grammar or a schema.
 */
export async function* generate(
  { session, tokenizer, forms, host, maxSeq, reasoning }: Walk,
  prompt: readonly number[],
  options: GenerateOptions,
): AsyncGenerator<Piece, Summary, void> {
  const { signal } = options;
  const parts = { tokenizer, forms: await forms([options]), maxSeq, reasoning, past: session.ids };
  const rooms8and9 = createPieceMaker(parts, prompt, options);

  const start = host.now();
  let logits = await session.append(prompt, { signal });
  const promptDone = host.now();
  let lastPause = promptDone;
  let finishReason: FinishReason | undefined;
  let genTokens = 0;
  while (finishReason === undefined) {
    signal?.throwIfAborted();
    const next = rooms8and9.next(logits.data, session.ids); // logits -> id -> text
    genTokens++;
    finishReason = next.finishReason;
    yield next.piece;
    if (finishReason === undefined) logits = await session.append([next.piece.id], { signal });
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
    ...(rooms8and9.isComplete !== undefined && { isComplete: rooms8and9.isComplete }),
  };
}
