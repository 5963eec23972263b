import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Tensor } from '../../src/core/tensor.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import type { Graph } from '../../src/graph/ir.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { createEvictCache } from '../../src/kvcache/evict.ts';
import { type EvictOptions, evictRuleOf } from '../../src/kvcache/evict_options.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import {
  batchOf,
  executorOf,
  F32_TIERS,
  firstDifference,
  logitsInChunks,
  TIERS,
  type TierName,
} from '../support/executors.ts';
import { mutatedModule } from '../support/mutated_module.ts';
import { tinyLlama } from '../support/tiny_llama.ts';

/**
 * Whole models over the form that keeps what was attended to. What it must give is said once, slowly: naive, one token at a time over
 * `contiguous`, whose rows are all there, but of which only those in a list are read. Every tier and every way to cut must have those bits.
 */

const CONFIG = {
  vocab: 37,
  dim: 32,
  hiddenDim: 32,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 8,
  ropeDim: 8,
  maxContext: 400,
};
const MODEL = tinyLlama({ seed: 12, dtype: 'q8_0', config: CONFIG });

const made = new Map<TierName, Promise<Executor>>();
const executorFor = (tier: TierName): Promise<Executor> => {
  const executor = made.get(tier) ?? executorOf(tier, MODEL, 'q8');
  made.set(tier, executor);
  return executor;
};
afterAll(async () => {
  for (const executor of made.values()) (await executor).dispose();
});

/** Of one sequence: the positions that are left, in the order of their rows, and what each was attended to, by layer and kv head. */
function defined(naive: Executor, options: EvictOptions, maxSeq: number): KvCache {
  const cache = naive.createCache(maxSeq) as KvCache<Float32Array>;
  const { budget, sinks, recent } = evictRuleOf(options);
  const { nLayers, nKvHeads, headDim } = CONFIG;
  let left: number[] = [];
  const sums = new Map<number, Float32Array[]>();
  const importance = (position: number): number =>
    sums
      .get(position)!
      .flatMap((heads) => [...heads])
      .reduce((a, b) => a + b, 0);
  const chosen = (which: 'readK' | 'readV') => (sequence: KvSequence, layer: number) => {
    const rows = cache[which](sequence, layer);
    const width = nKvHeads * headDim;
    return Float32Array.from(left.flatMap((p) => [...rows.subarray(p * width, (p + 1) * width)]));
  };
  const own: Partial<KvCache<Float32Array>> = {
    readK: chosen('readK'),
    readV: chosen('readV'),
    dropped: (sequence) => cache.length(sequence) - left.length,
    reserve(sequence, count) {
      expect(count).toBe(1);
      const length = cache.length(sequence);
      if (left.length === budget) {
        const ranked = left
          .filter((p) => p >= sinks && p < length - recent)
          .sort((a, b) => importance(a) - importance(b) || a - b);
        const gone = ranked.slice(0, 16);
        const last = left.slice(-16).filter((p) => !gone.includes(p));
        left = left.slice(0, -16).map((p) => (gone.includes(p) ? last.shift()! : p));
      }
      cache.reserve(sequence, 1);
      left.push(length);
      sums.set(
        length,
        Array.from({ length: nLayers }, () => new Float32Array(nKvHeads)),
      );
    },
    attended(_sequence, layer, p: Tensor) {
      const [nHeads, , nRows] = p.shape as [number, number, number];
      for (let h = 0; h < nHeads; h++) {
        left.forEach((position, s) => {
          sums.get(position)![layer]![Math.floor(h / (nHeads / nKvHeads))]! += p.data[h * nRows + s]!;
        });
      }
    },
  };
  return Object.defineProperties(
    {},
    { ...Object.getOwnPropertyDescriptors(cache), ...Object.getOwnPropertyDescriptors(own) },
  ) as KvCache;
}

/** Logits of every position, or of the last one of each run only, in runs of the given lengths, or shorter ones where the cache says so. */
function logitsOver(executor: Executor, cache: KvCache, ids: readonly number[], chunks: readonly number[]): number[] {
  const sequence = cache.create();
  const all: number[] = [];
  for (let from = 0, i = 0; from < ids.length; i++) {
    const part = ids.slice(from, from + Math.min(chunks[i % chunks.length]!, cache.most(sequence)));
    for (const x of executor.run(batchOf(cache, [{ sequence, ids: part }]), cache).data) all.push(x);
    from += part.length;
  }
  cache.release(sequence);
  return all;
}

const idsOf = (seed: number, n: number): number[] =>
  Array.from({ length: n }, (_, i) => (seed * 7 + i * i * 5 + i) % 37);

const cases = fc.record({
  ids: fc.tuple(fc.nat(1000), fc.integer({ min: 60, max: 140 })).map(([seed, n]) => idsOf(seed, n)),
  chunks: fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 70 })), {
    minLength: 1,
    maxLength: 4,
  }),
  options: fc
    .record({
      free: fc.integer({ min: 16, max: 60 }),
      sinks: fc.constantFrom(0, 1, 4, 17),
      recent: fc.constantFrom(0, 1, 9, 33),
    })
    .map(
      ({ free, sinks, recent }): EvictOptions => ({
        kind: 'evict',
        by: 'importance',
        budget: sinks + recent + free,
        sinks,
        recent,
        debug: true,
      }),
    ),
});

type Make = (executor: Executor, options: EvictOptions, maxSeq: number) => KvCache;
const plainly: Make = (executor, options, maxSeq) => executor.createCache(maxSeq, options);

/** Every f32 tier has the defined bits; `make` may make another cache than it is asked for. */
function definedBits(naive: Executor, executors: readonly Executor[], make: Make = plainly) {
  return fc.property(cases, ({ ids, chunks, options }) => {
    const expected = logitsOver(naive, defined(naive, options, ids.length), ids, [1]);
    for (const executor of executors) {
      const got = logitsOver(executor, make(executor, options, ids.length), ids, chunks);
      const difference = firstDifference(got, expected);
      if (difference !== undefined) throw new Error(`${executor.kernels}: ${difference}`);
    }
  });
}

const executors = (): Promise<Executor[]> => Promise.all(F32_TIERS.map(executorFor));

test('every tier has the defined bits for any budget, and any way to cut', async () => {
  fc.assert(definedBits(await executorFor('naive'), await executors()), { numRuns: 5, seed: 4 });
});

test.each<[string, Make]>([
  ['one row more', (e, o, maxSeq) => e.createCache(maxSeq, { ...o, budget: o.budget + 1 })],
  [
    'one position more protected',
    (e, o, maxSeq) =>
      e.createCache(maxSeq, { ...o, sinks: o.sinks! + 1, budget: Math.max(o.budget, o.sinks! + o.recent! + 17) }),
  ],
  ['one recent position less', (e, o, maxSeq) => e.createCache(maxSeq, { ...o, recent: Math.max(0, o.recent! - 1) })],
])('and %s is caught', async (_what, wrong) => {
  const property = definedBits(await executorFor('naive'), (await executors()).slice(-1), wrong);
  expect(fc.check(property, { numRuns: 20, seed: 3, endOnFailure: true }).failed).toBe(true);
});

test.each([
  [
    'forgets sums when rows move',
    'write[sumAt(to, layer, h)] = read[sumAt(from, layer, h)]!',
    'write[sumAt(to, layer, h)]! += 0',
  ],
  ['gives up the largest sums', 'a.importance - b.importance', 'b.importance - a.importance'],
  ['leaves old sums to new rows', 'sums[sumAt(row, layer, h)] = 0;', ';'],
  [
    'looks at the first layer alone',
    'for (let layer = 0; layer < nLayers; layer++) {\n      for (let h = 0; h < nKvHeads; h++) total',
    'for (let layer = 0; layer < 1; layer++) {\n      for (let h = 0; h < nKvHeads; h++) total',
  ],
  ['moves keys without values', 'for (const which of [0, 1] as const)', 'for (const which of [0] as const)'],
])('a cache that %s is caught', async (_what, from, to) => {
  const source = new URL('../../src/kvcache/evict.ts', import.meta.url);
  const mutant = await mutatedModule<{ createEvictCache: typeof createEvictCache }>(source, { from, to });
  const naive = await executorFor('naive');
  const layout = naive.createCache(1).layout;
  const wrong: Make = (_e, o, maxSeq) =>
    mutant.createEvictCache(layout, maxSeq, heapStorage(Float32Array), evictRuleOf(o)) as KvCache;
  const right: Make = (_e, o, maxSeq) =>
    createEvictCache(layout, maxSeq, heapStorage(Float32Array), evictRuleOf(o)) as KvCache;
  const runs = { numRuns: 8, seed: 5, endOnFailure: true };
  expect(fc.check(definedBits(naive, [naive], wrong), runs).failed).toBe(true);
  expect(fc.check(definedBits(naive, [naive], right), { ...runs, numRuns: 1 }).failed).toBe(false);
});

describe.each(TIERS)('%s', (tier) => {
  const ids = idsOf(5, 90);
  const form = (budget: number) => ({ kind: 'evict', by: 'importance', budget, debug: true }) as const;

  test('a budget that covers the sequence: the bits of contiguous, whether sums are kept or not', async () => {
    const executor = await executorFor(tier);
    const expected = logitsInChunks(executor, ids, [40]);
    for (const [budget, maxSeq] of [
      [90, 90],
      [90, 200],
    ] as const) {
      const got = logitsOver(executor, executor.createCache(maxSeq, form(budget)), ids, [40]);
      expect(firstDifference(got, expected)).toBeUndefined();
    }
  });

  test('one that does not: other bits', async () => {
    const executor = await executorFor(tier);
    const got = logitsOver(executor, executor.createCache(90, form(89)), ids, [40]);
    expect(firstDifference(got, logitsInChunks(executor, ids, [40]))).toBeDefined();
  });
});

const FORM = { kind: 'evict', by: 'importance', budget: 40, sinks: 2, recent: 10, debug: true } as const;

/** ids run in pieces that ask for no logits, as a prompt's chunks do. */
function fill(executor: Executor, cache: KvCache, sequence: KvSequence, ids: readonly number[]): void {
  for (let from = 0; from < ids.length; ) {
    const part = ids.slice(from, from + Math.min(7, cache.most(sequence)));
    executor.run({ ...batchOf(cache, [{ sequence, ids: part }]), outRows: new Int32Array(0) }, cache);
    from += part.length;
  }
}

test.each(F32_TIERS)('%s: sequences of one batch, a fork, and prompts without logits', async (tier) => {
  const executor = await executorFor(tier);
  const cache = executor.createCache(200, FORM);
  const pasts = [idsOf(1, 130), idsOf(2, 20), idsOf(3, 71)];
  const sequences = pasts.map((past) => {
    const sequence = cache.create();
    fill(executor, cache, sequence, past);
    return sequence;
  });
  sequences.push(cache.fork(sequences[0]!));
  pasts.push(pasts[0]!);
  const next = idsOf(9, 24);
  const together: number[][] = sequences.map(() => []);
  for (const id of next) {
    const { data } = executor.run(
      batchOf(
        cache,
        sequences.map((sequence) => ({ sequence, ids: [id] })),
      ),
      cache,
    );
    for (const [i, rows] of together.entries()) rows.push(...data.subarray(i * CONFIG.vocab, (i + 1) * CONFIG.vocab));
  }
  pasts.forEach((past, i) => {
    const alone = logitsOver(executor, executor.createCache(200, FORM), [...past, ...next], [30]);
    expect(firstDifference(together[i]!, alone.slice(-next.length * CONFIG.vocab))).toBeUndefined();
  });
});

test('a model whose layers have windows of their own is refused by name, on every tier', async () => {
  const windowed = (graph: Graph): Graph => ({
    ...graph,
    nodes: graph.nodes.map((node) => (node.op === 'attend_mix' ? { ...node, window: 8 } : node)),
  });
  const plain = await executorFor('naive');
  const weights = await loadWeights(plain.graph, MODEL.tensors);
  const all = [
    createNaiveExecutor(windowed(plain.graph), weights),
    createNaive64Executor(windowed(plain.graph), weights),
    await executorOf('wasm simd', MODEL, 'q8', windowed),
  ];
  for (const executor of all) {
    expect(() => executor.createCache(50, FORM)).toThrow(
      'kv-evict with a model whose layers have windows of their own',
    );
    executor.dispose();
  }
});

test('unfused graphs and two threads give the same bits', async () => {
  const ids = idsOf(6, 120);
  const expected = logitsOver(
    await executorFor('naive'),
    (await executorFor('naive')).createCache(120, FORM),
    ids,
    [30],
  );
  const plain = await executorOf('wasm simd', MODEL, 'q8', (graph) => graph);
  const two = await executorOf('wasm simd', MODEL, 'q8', undefined, 2);
  for (const executor of [plain, two]) {
    const got = logitsOver(executor, executor.createCache(120, FORM), ids, [30, 1]);
    expect(firstDifference(got, expected)).toBeUndefined();
    executor.dispose();
  }
});
