import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Executor } from '../../src/exec/executor.ts';
import type { KvSequence } from '../../src/kvcache/cache.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import {
  batchOf,
  executorOf,
  F32_TIERS,
  firstDifference,
  HOST,
  logitsInChunks,
  type TierName,
} from '../support/executors.ts';
import { TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

/** Whole models over every form of the cache: the bits of one sequence alone over `contiguous`, with freed rows poisoned. */

const FORMS: readonly KvOptions[] = [
  { kind: 'contiguous', debug: true },
  { kind: 'paged', pageSize: 16, debug: true },
  { kind: 'paged', pageSize: 48, debug: true },
  { kind: 'paged', pageSize: 16, budget: 640, debug: true },
  { kind: 'lossy', window: 80, debug: true },
  { kind: 'tiered', pageSize: 16, budget: 192, debug: true, files: HOST.scratch },
];

const made = new Map<TierName, Promise<Executor>>();
const executorFor = (tier: TierName): Promise<Executor> => {
  let executor = made.get(tier);
  if (executor === undefined) {
    executor = executorOf(tier, tinyLlama({ seed: 7, dtype: 'q8_0' }), 'q8');
    made.set(tier, executor);
  }
  return executor;
};
afterAll(async () => {
  for (const executor of made.values()) (await executor).dispose();
});

/** What happens to up to four sequences; `which` modulo their number. */
type Event =
  | { do: 'run'; pieces: { which: number; ids: number[] }[] }
  | { do: 'fork'; which: number }
  | { do: 'truncate'; which: number; keep: number }
  | { do: 'release'; which: number };

const which = fc.nat(3);
const ids = fc.array(fc.integer({ min: 0, max: TINY_CONFIG.vocab - 1 }), { minLength: 1, maxLength: 20 });
const events: fc.Arbitrary<Event[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('run' as const),
        pieces: fc.array(fc.record({ which, ids }), { minLength: 1, maxLength: 3 }),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('fork' as const), which }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('truncate' as const), which, keep: fc.nat(60) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which }) },
  ),
  { minLength: 2, maxLength: 8 },
);

/** Plays the events; the logits of every row of every run, beside the ids that led to it. */
function play(executor: Executor, form: KvOptions, story: readonly Event[]): { past: number[]; row: Float32Array }[] {
  const cache = executor.createCache(160, form);
  const live: { sequence: KvSequence; ids: number[] }[] = [{ sequence: cache.create(), ids: [] }];
  const rows: { past: number[]; row: Float32Array }[] = [];
  for (const event of story) {
    if (event.do === 'run') {
      const parts = new Map(event.pieces.map((piece) => [live[piece.which % live.length]!, piece.ids]));
      for (const [one, added] of parts) if (one.ids.length + added.length > 80) parts.delete(one);
      if (parts.size === 0) continue;
      const batch = batchOf(
        cache,
        [...parts].map(([{ sequence }, added]) => ({ sequence, ids: added })),
      );
      const { data, vocab } = executor.run(batch, cache);
      let r = 0;
      for (const [one, added] of parts) {
        for (const id of added) {
          one.ids.push(id);
          rows.push({ past: [...one.ids], row: data.slice(r * vocab, (r + 1) * vocab) as Float32Array });
          r++;
        }
      }
      continue;
    }
    const at = event.which % live.length;
    const { sequence, ids: past } = live[at]!;
    if (event.do === 'fork' && live.length < 4) live.push({ sequence: cache.fork(sequence), ids: [...past] });
    if (event.do === 'truncate') {
      past.length = Math.min(past.length, event.keep);
      cache.truncate(sequence, past.length);
    }
    if (event.do === 'release' && live.length > 1) {
      cache.release(sequence);
      live.splice(at, 1);
    }
  }
  for (const { sequence } of live) cache.release(sequence);
  cache.dispose?.();
  expect(cache.stats().pages?.nUsed ?? 0).toBe(0);
  return rows;
}

describe.each(F32_TIERS)('%s', (tier) => {
  test.each(FORMS.map((form) => [form.kind, form] as const))(
    '%s: every run has the bits of a sequence that ran alone',
    async (_kind, form) => {
      const executor = await executorFor(tier);
      fc.assert(
        fc.property(events, (story) => {
          for (const { past, row } of play(executor, form, story)) {
            const alone = logitsInChunks(executor, past, []).slice(-row.length);
            const difference = firstDifference(row, alone);
            if (difference !== undefined) throw new Error(`after ${past.length} ids: ${difference}`);
          }
        }),
        { numRuns: tier === 'naive' ? 2 : 8, seed: 7 },
      );
    },
  );
});

test('and a fork that does not copy before it writes is seen', async () => {
  const executor = await executorFor('naive');
  const forgetful: Executor = {
    ...executor,
    createCache(maxSeq, form) {
      const cache = executor.createCache(maxSeq, form);
      const stats = { kind: 'mutant', nSequences: 0, nPositions: 0, nBytes: 0 };
      return Object.assign(cache, { fork: (s: KvSequence) => s, release: () => {}, stats: () => stats });
    },
  };
  const story: Event[] = [
    { do: 'run', pieces: [{ which: 0, ids: [1, 2] }] },
    { do: 'fork', which: 0 },
    { do: 'run', pieces: [{ which: 1, ids: [3] }] },
    { do: 'run', pieces: [{ which: 0, ids: [4] }] },
  ];
  const { past, row } = play(forgetful, { kind: 'paged' }, story).at(-1)!;
  expect(past).toEqual([1, 2, 4]);
  expect(firstDifference(row, logitsInChunks(executor, past, []).slice(-row.length))).toBeDefined();
});

describe('several sequences, a token each, over scattered pages', () => {
  // Scratch is of the whole batch; a sequence alone needs it for all of its heads, which here share no keys.
  const CONFIG = { ...TINY_CONFIG, nHeads: 12, nKvHeads: 12, nLayers: 1, maxContext: 512 };
  const PROMPT = Array.from({ length: 500 }, (_, i) => (i * i * 5 + 3) % TINY_CONFIG.vocab);
  const MANY = 7;
  const PIECE = 50;

  test.each(F32_TIERS.slice(1))('%s', async (tier) => {
    const model = tinyLlama({ seed: 9, dtype: 'f32', config: CONFIG });
    const naive = await executorOf('naive', model, 'f32');
    const executor = await executorOf(tier, model, 'f32');
    const cache = executor.createCache(512, { kind: 'paged', pageSize: 16, debug: true });
    const sequences = Array.from({ length: MANY }, () => cache.create());
    for (let from = 0; from < PROMPT.length; from += PIECE) {
      const ids = PROMPT.slice(from, from + PIECE);
      for (const sequence of sequences) executor.run(batchOf(cache, [{ sequence, ids }]), cache);
    }
    for (const count of [MANY, 3, 1]) {
      const some = sequences.slice(0, count);
      for (const sequence of some) expect(cache.runs(sequence, 0).length).toBeGreaterThan(1);
      const together = executor.run(
        batchOf(
          cache,
          some.map((sequence) => ({ sequence, ids: [5] })),
        ),
        cache,
      );
      const nSteps = [MANY, 3, 1].indexOf(count) + 1;
      const alone = logitsInChunks(naive, [...PROMPT, ...new Array<number>(nSteps).fill(5)], []);
      const last = alone.slice(-CONFIG.vocab);
      for (let i = 0; i < count; i++) {
        const own = together.data.slice(i * CONFIG.vocab, (i + 1) * CONFIG.vocab);
        expect(firstDifference(own, last), `sequence ${i} of ${count}`).toBeUndefined();
      }
    }
    executor.dispose();
    naive.dispose();
  });
});
