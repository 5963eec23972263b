import type { Beam, Piece, Speculation, Summary } from '../engine/generate.ts';
import type { Session } from '../engine/session.ts';
import type { FinishReason } from '../sample/stopping.ts';
import type { TextKind } from '../text/reasoning.ts';
import { INTERRUPTED } from './io.ts';

export interface Timings {
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly genTokens: number;
  readonly genMs: number;
}

/** A generation as it ended: by itself, or by Ctrl-C with what there was until then. */
export interface Generated {
  /** The answer alone, where pieces tell thoughts apart from it. */
  readonly text: string;
  readonly reasoning: string;
  readonly pieces: readonly Piece[];
  readonly finishReason: FinishReason | 'interrupted';
  /** With a grammar or a schema: whether the text is one of its texts. */
  readonly isComplete?: boolean;
  readonly timings: Timings;
  readonly speculation?: Speculation;
  readonly beams?: readonly Beam[];
}

/** Takes each new piece of text, and is told when tokens were dropped before it for want of room. */
export type Show = (text: string, kind: TextKind) => void;
export type OnDropped = (nTokens: number) => void;

/** When the prompt had been read, where somebody saw it; else the first piece tells. */
export interface PromptClock {
  promptDone: number | undefined;
}

/** The same session, of which the first append sets the clock: a beam search gives no piece before its end. */
export function watched(session: Session, clock: PromptClock): Session {
  return {
    ...session,
    async append(...args) {
      const logits = await session.append(...args);
      clock.promptDone ??= performance.now();
      return logits;
    },
  };
}

/**
 * Follows a generation to its end and hands each new piece of text to `show`.
 *
 * An interruption is an end like others: its times are measured here, since the engine's summary did not come. Between two
 * pieces the prompt counts as read once the first token is there.
 * Throws everything else that the generation throws.
 */
export async function collectPieces(
  generation: AsyncGenerator<Piece, Summary, void>,
  promptTokens: number,
  show: Show,
  onDropped: OnDropped = () => {},
  clock: PromptClock = { promptDone: undefined },
): Promise<Generated> {
  const pieces: Piece[] = [];
  const texts = { answer: '', reasoning: '' };
  const start = performance.now();
  const end = (finishReason: Generated['finishReason'], timings: Timings): Generated => ({
    text: texts.answer,
    reasoning: texts.reasoning,
    pieces,
    finishReason,
    timings,
  });
  try {
    for (;;) {
      const step = await generation.next();
      if (step.done === true) {
        const { finishReason, isComplete, speculation, beams, ...timings } = step.value;
        return {
          ...end(finishReason, timings),
          ...(isComplete !== undefined && { isComplete }),
          ...(speculation !== undefined && { speculation }),
          ...(beams !== undefined && { beams }),
        };
      }
      clock.promptDone ??= performance.now();
      const { text, parts = [{ kind: 'answer' as const, text }], dropped } = step.value;
      pieces.push(step.value);
      if (dropped !== undefined) onDropped(dropped);
      for (const part of parts) {
        texts[part.kind] += part.text;
        if (part.text !== '') show(part.text, part.kind);
      }
    }
  } catch (error) {
    if (error !== INTERRUPTED) throw error;
    const now = performance.now();
    const promptMs = (clock.promptDone ?? now) - start;
    return end('interrupted', { promptTokens, promptMs, genTokens: pieces.length, genMs: now - start - promptMs });
  }
}
