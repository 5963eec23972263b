import type { Beam, Piece, Speculation, Summary } from '../engine/generate.ts';
import type { FinishReason } from '../sample/stopping.ts';
import { INTERRUPTED } from './io.ts';

export interface Timings {
  readonly promptTokens: number;
  readonly promptMs: number;
  readonly genTokens: number;
  readonly genMs: number;
}

/** A generation as it ended: by itself, or by Ctrl-C with what there was until then. */
export interface Generated {
  readonly text: string;
  readonly pieces: readonly Piece[];
  readonly finishReason: FinishReason | 'interrupted';
  /** With a grammar or a schema: whether the text is one of its texts. */
  readonly isComplete?: boolean;
  readonly timings: Timings;
  readonly speculation?: Speculation;
  readonly beams?: readonly Beam[];
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
  show: (text: string) => void,
): Promise<Generated> {
  const pieces: Piece[] = [];
  let text = '';
  const start = performance.now();
  let promptDone: number | undefined;
  const end = (finishReason: Generated['finishReason'], timings: Timings): Generated => ({
    text,
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
      promptDone ??= performance.now();
      pieces.push(step.value);
      text += step.value.text;
      if (step.value.text !== '') show(step.value.text);
    }
  } catch (error) {
    if (error !== INTERRUPTED) throw error;
    const now = performance.now();
    const promptMs = (promptDone ?? now) - start;
    return end('interrupted', { promptTokens, promptMs, genTokens: pieces.length, genMs: now - start - promptMs });
  }
}
