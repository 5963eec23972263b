import fc from 'fast-check';
import type { Batch, Executor } from '../../src/exec/executor.ts';
import { type Recording, recordRun } from '../../src/exec/record.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';

/** A few steps with one or two sequences: how many new tokens each one gets, by step. */
export interface Scenario {
  /** [step][sequence]; 0: the sequence sits this step out. */
  readonly steps: readonly (readonly number[])[];
  /** Drives token ids and the choice of rows. */
  readonly picks: readonly number[];
}

const count = fc.integer({ min: 0, max: 5 });

export const scenarios: fc.Arbitrary<Scenario> = fc.integer({ min: 1, max: 2 }).chain((nSequences) =>
  fc.record({
    steps: fc
      .array(fc.array(count, { minLength: nSequences, maxLength: nSequences }), { minLength: 1, maxLength: 3 })
      .map((steps) => steps.filter((counts) => counts.some((n) => n > 0)))
      .filter((steps) => steps.length > 0),
    picks: fc.array(fc.nat(), { minLength: 1, maxLength: 12 }),
  }),
);

const MAX_SEQ = 32;

/** Reserves room and gives the batch: `counts[i]` new tokens for sequence i; every row in two is asked for, at least one. */
export function reserveBatch(
  cache: KvCache,
  sequences: readonly KvSequence[],
  counts: readonly number[],
  vocab: number,
  pick: () => number,
): Batch {
  const ids: number[] = [];
  const positions: number[] = [];
  const segments: { sequence: KvSequence; from: number; count: number }[] = [];
  counts.forEach((n, i) => {
    const sequence = sequences[i]!;
    if (n === 0) return;
    const first = cache.length(sequence);
    cache.reserve(sequence, n);
    segments.push({ sequence, from: ids.length, count: n });
    for (let t = 0; t < n; t++) {
      ids.push(pick() % vocab);
      positions.push(first + t);
    }
  });
  const asked = ids.map((_, row) => row).filter(() => pick() % 2 === 0);
  return {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments,
    outRows: Int32Array.from(asked.length > 0 ? asked : [ids.length - 1]),
  };
}

/** What was run and recorded, step by step, on a fresh cache. `onStep` sees each step before the next one begins. */
export function playScenario(
  executor: Executor,
  scenario: Scenario,
  onStep?: (batch: Batch, recording: Recording, cache: KvCache) => void,
): Recording[] {
  const cache = executor.createCache(MAX_SEQ);
  const sequences = scenario.steps[0]!.map(() => cache.create());
  const vocab = executor.graph.nodes[executor.graph.output]!.shape[1] as number;
  let next = 0;
  const pick = (): number => scenario.picks[next++ % scenario.picks.length]! >>> (next % 7);
  return scenario.steps.map((counts) => {
    const batch = reserveBatch(cache, sequences, counts, vocab, pick);
    const recording = recordRun(executor, batch, cache);
    onStep?.(batch, recording, cache);
    return recording;
  });
}
