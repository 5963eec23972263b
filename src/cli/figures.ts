import type { Speculation } from '../engine/generate.ts';
import type { ModelInfo } from '../engine/model.ts';
import type { Timings } from './collect_pieces.ts';
import { plural, showBytes, showRate } from './format.ts';

/**
 * The one line after a generation:
 *   4 prompt tokens at 310 tokens/s, 118 tokens generated at 85.3 tokens/s | weights 3.66 MB, cache 1.05 MB, peak 102 MB |
 *   wasm relaxed | seed 4123
 *
 * peakBytes: of the whole process, null where the host does not tell. seed: null where nothing was drawn.
 * speculation: adds "31 of 40 guesses right, 21 runs".
 */
export function figuresLine(
  info: ModelInfo,
  t: Timings,
  peakBytes: number | null,
  seed: number | bigint | null,
  speculation?: Speculation,
): string {
  const isPromptRead = t.genTokens > 0; // else it was interrupted, somewhere within the prompt
  const parts = [
    `${plural(t.promptTokens, 'prompt token')} at ${showRate(t.promptTokens, isPromptRead ? t.promptMs : 0)}, ` +
      `${plural(t.genTokens, 'token')} generated at ${showRate(t.genTokens, t.genMs)}`,
    `weights ${showBytes(info.weightBytes)}, cache ${showBytes(info.cacheBytes)}` +
      (peakBytes === null ? '' : `, peak ${showBytes(peakBytes)}`),
    info.threads === 1 ? info.kernels : `${info.kernels}, ${plural(info.threads, 'thread')}`,
  ];
  if (speculation !== undefined) {
    const { nAccepted, nProposed, nRuns } = speculation;
    parts.push(`${nAccepted} of ${nProposed} guesses right, ${plural(nRuns, 'run')}`);
  }
  if (seed !== null) parts.push(`seed ${seed}`);
  return parts.join(' | ');
}
