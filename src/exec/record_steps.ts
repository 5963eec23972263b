import { ShapeError } from '../core/errors.ts';
import type { Executor, Logits } from './executor.ts';
import { type Recording, recordRun } from './record.ts';

/** The prompt's run, then one for each decode step. */
export type Steps = readonly Recording[];

/** The id of the next decode step, from the logits [1, vocab] of the run before it; null ends the recording. */
export type ChooseNext = (step: number, logits: Logits) => number | null;

/**
 * Runs `prompt` in one piece on a fresh cache, then one step for each id that `choose` gives, and keeps every value.
 *
 * To hold two executors against each other, the second one is given the ids that the first one chose: from the first
 * difference on they would otherwise compute different texts.
 * beforeRun: awaited before each run; what it throws ends the recording.
 * Throws ShapeError for no ids or ids outside the vocabulary, CapacityError when they do not fit maxSeq.
 */
export async function recordSteps(
  executor: Executor,
  prompt: readonly number[],
  choose: ChooseNext,
  maxSeq: number,
  beforeRun: () => Promise<void> = async () => {},
): Promise<{ readonly steps: Steps; readonly chosen: readonly number[] }> {
  if (prompt.length === 0) throw new ShapeError('record: the prompt has no ids; a run needs at least one');
  const cache = executor.createCache(maxSeq);
  const sequence = cache.create();
  const steps: Recording[] = [];
  const chosen: number[] = [];
  try {
    let ids = prompt;
    for (let step = 0; ; step++) {
      await beforeRun();
      const before = cache.length(sequence);
      cache.reserve(sequence, ids.length);
      const batch = {
        ids: Int32Array.from(ids),
        positions: Int32Array.from(ids, (_, t) => before + t),
        segments: [{ sequence, from: 0, count: ids.length }],
        outRows: Int32Array.of(ids.length - 1),
      };
      const recording = recordRun(executor, batch, cache);
      steps.push(recording);
      const id = choose(step, recording.logits);
      if (id === null) return { steps, chosen };
      chosen.push(id);
      ids = [id];
    }
  } finally {
    cache.release(sequence);
  }
}

/** The likeliest id at each of nSteps steps, the lowest of equals; ends early at logits that are not finite. */
export function greedily(nSteps: number): ChooseNext {
  return (step, { data }) => {
    if (step >= nSteps) return null;
    let best = 0;
    for (let id = 0; id < data.length; id++) {
      if (!Number.isFinite(data[id]!)) return null;
      if (data[id]! > data[best]!) best = id;
    }
    return best;
  };
}
