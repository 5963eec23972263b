import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { recordRun } from '../../src/exec/record.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import { KV_TYPES } from '../../src/kvcache/coded_rows.ts';
import { type LossyOptions, lossesOf } from '../../src/kvcache/lossy_options.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { PAGE_POSITIONS } from '../../src/kvcache/row_pages.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import {
  batchOf,
  executorOf,
  F32_TIERS,
  firstDifference,
  HOST,
  logitsInChunks,
  TIERS,
  type TierName,
} from '../support/executors.ts';
import { tinyLlama } from '../support/tiny_llama.ts';

/**
 * Whole models over the lossy form. What it must give is said once, slowly: naive, one token at a time over `contiguous`, whose rows
 * are all there, but read through a window, and rounded where they are cold. Every tier and every way to cut must have those bits.
 */

const CONFIG = {
  vocab: 37,
  dim: 32,
  hiddenDim: 32,
  nLayers: 2,
  nHeads: 2,
  nKvHeads: 1,
  headDim: 32,
  ropeDim: 32,
  maxContext: 400,
};
const MODEL = tinyLlama({ seed: 11, dtype: 'q8_0', config: CONFIG });

const made = new Map<TierName, Promise<Executor>>();
const executorFor = (tier: TierName): Promise<Executor> => {
  let executor = made.get(tier);
  if (executor === undefined) {
    executor = executorOf(tier, MODEL, 'q8');
    made.set(tier, executor);
  }
  return executor;
};
afterAll(async () => {
  for (const executor of made.values()) (await executor).dispose();
});

function rounded(rows: Float32Array, isRounded: (position: number) => boolean, type: 'q8_0' | 'q4_0'): Float32Array {
  const bytes = new Uint8Array(FORMATS[type].blockBytes);
  for (let p = 0; p < rows.length / CONFIG.headDim; p++) {
    if (!isRounded(p)) continue;
    FORMATS[type].pack(rows, p * CONFIG.headDim, CONFIG.headDim, bytes, 0);
    FORMATS[type].unpack(bytes, 0, rows, p * CONFIG.headDim, CONFIG.headDim);
  }
  return rows;
}

/** `contiguous`, read as the options say. */
function defined(naive: Executor, options: LossyOptions, maxSeq: number): KvCache {
  const cache = naive.createCache(maxSeq) as KvCache<Float32Array>;
  const { window, type, recent } = lossesOf(options);
  const read =
    (which: 'readK' | 'readV'): KvCache<Float32Array>['readK'] =>
    (sequence, layer) => {
      const rows = cache[which](sequence, layer);
      if (type === 'f32') return rows;
      const newest = cache.length(sequence) - 1;
      const endOf = (p: number): number => (Math.floor(p / PAGE_POSITIONS) + 1) * PAGE_POSITIONS;
      return rounded(rows, (p) => recent === 0 || endOf(p) + recent <= newest, type);
    };
  return Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(cache),
      window: { value: window },
      readK: { value: read('readK') },
      readV: { value: read('readV') },
    },
  ) as KvCache;
}

/** Logits of every position, in runs of the given lengths, or shorter ones where the cache says so. */
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
  ids: fc.tuple(fc.nat(1000), fc.integer({ min: 1, max: 200 })).map(([seed, n]) => idsOf(seed, n)),
  chunks: fc.array(fc.oneof(fc.integer({ min: 1, max: 5 }), fc.integer({ min: 1, max: 100 })), {
    minLength: 1,
    maxLength: 4,
  }),
  options: fc.record({
    kind: fc.constant('lossy' as const),
    debug: fc.constant(true),
    type: fc.constantFrom(...KV_TYPES),
    window: fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined }),
    sinks: fc.constantFrom(0, 1, 4, 17, 65),
    recent: fc.constantFrom(0, 1, 30, 64),
  }),
});

/** Options that contradict each other are left out. */
const valid = ({ sinks, recent, ...o }: LossyOptions): LossyOptions => ({
  ...o,
  ...(o.window !== undefined && { sinks }),
  ...(o.type !== 'f32' && { recent }),
});

/** Every f32 tier has the defined bits; `wrong` changes the form that they are given. */
function definedBits(
  naive: Executor,
  executors: readonly Executor[],
  wrong: (form: LossyOptions) => KvOptions = (form) => form,
  right: (form: LossyOptions) => LossyOptions = valid,
) {
  return fc.property(cases, ({ ids, chunks, options }) => {
    const form = right(options);
    const expected = logitsOver(naive, defined(naive, form, ids.length), ids, [1]);
    for (const executor of executors) {
      const got = logitsOver(executor, executor.createCache(ids.length, wrong(form)), ids, chunks);
      const difference = firstDifference(got, expected);
      if (difference !== undefined) throw new Error(`${executor.kernels}: ${difference}`);
    }
  });
}

const executors = (): Promise<Executor[]> => Promise.all(F32_TIERS.map(executorFor));

test('every tier has the defined bits for any window, type and age, and any way to cut', async () => {
  fc.assert(definedBits(await executorFor('naive'), await executors()), { numRuns: 6, seed: 3 });
});

/** The same in pages that sequences share, where a row is rounded when it is written: of any size, which the bits do not tell. */
const inPages = ({ window, sinks, type, debug }: LossyOptions): KvOptions => ({
  kind: 'paged',
  pageSize: 16 * (1 + ((window ?? 3) % 6)),
  ...{ window, sinks, type, debug },
});
const noneRecent = (form: LossyOptions): LossyOptions => valid({ ...form, recent: 0 });

test('pages that sequences share, of any size, have the defined bits too', async () => {
  fc.assert(definedBits(await executorFor('naive'), await executors(), inPages, noneRecent), { numRuns: 3, seed: 4 });
});

test('and in such pages one sink more is caught', async () => {
  const wrong = (form: LossyOptions): KvOptions => inPages({ ...form, sinks: form.sinks && form.sinks + 1 });
  const property = definedBits(await executorFor('naive'), (await executors()).slice(-1), wrong, noneRecent);
  expect(fc.check(property, { numRuns: 20, seed: 4, endOnFailure: true }).failed).toBe(true);
});

test.each(F32_TIERS.slice(1))(
  '%s: rounded rows that are found again, or come back from a file, have their bits',
  async (tier) => {
    const executor = await executorFor(tier);
    const ids = idsOf(6, 100);
    for (const type of ['q8_0', 'q4_0'] as const) {
      const miss = logitsOver(executor, executor.createCache(100, { kind: 'lossy', type }), ids, [30]);
      const cache = executor.createCache(160, { kind: 'tiered', type, budget: 128, files: HOST.scratch, debug: true });
      for (const text of [ids, idsOf(7, 90), ids]) {
        const sequence = cache.create();
        const nFound = cache.adoptPrefix!(sequence, text);
        const { data } = executor.run(batchOf(cache, [{ sequence, ids: text.slice(nFound) }]), cache);
        cache.publish!(sequence, text);
        cache.release(sequence);
        if (text === ids) expect(firstDifference(data, miss.slice(nFound * CONFIG.vocab))).toBeUndefined();
      }
      expect(cache.stats().prefix!.nHits).toBe(6);
      expect(cache.stats().file!.nRead).toBeGreaterThan(0);
      cache.dispose!();
    }
  },
);

test.each<[string, (form: LossyOptions) => LossyOptions]>([
  ['a window one position shorter', (o) => (o.window === undefined ? o : { ...o, window: Math.max(1, o.window - 1) })],
  ['one sink more', (o) => (o.sinks === undefined ? o : { ...o, sinks: o.sinks + 1 })],
  ['pages that turn cold one position late', (o) => (o.recent === undefined ? o : { ...o, recent: o.recent + 1 })],
])('and %s is caught', async (_what, wrong) => {
  const property = definedBits(await executorFor('naive'), (await executors()).slice(-1), wrong);
  expect(fc.check(property, { numRuns: 20, seed: 3, endOnFailure: true }).failed).toBe(true);
});

const COVERED: readonly LossyOptions[] = [
  { kind: 'lossy', window: 150 },
  { kind: 'lossy', window: 140, sinks: 10 },
  { kind: 'lossy', type: 'q4_0', recent: 86 },
];
const SHORT: readonly LossyOptions[] = [
  { kind: 'lossy', window: 145 },
  { kind: 'lossy', window: 139, sinks: 10 },
  { kind: 'lossy', type: 'q4_0', recent: 85 },
  { kind: 'lossy', type: 'q8_0' },
];

describe.each(TIERS)('%s', (tier) => {
  const ids = idsOf(5, 150);
  test.each(COVERED)('%j covers 150 positions: the bits of contiguous', async (form) => {
    const executor = await executorFor(tier);
    const got = logitsOver(executor, executor.createCache(150, form), ids, [40]);
    expect(firstDifference(got, logitsInChunks(executor, ids, [40]))).toBeUndefined();
  });

  test.each(SHORT)('%j does not: other bits', async (form) => {
    const executor = await executorFor(tier);
    const got = logitsOver(executor, executor.createCache(150, form), ids, [40]);
    expect(firstDifference(got, logitsInChunks(executor, ids, [40]))).toBeDefined();
  });
});

test.each(F32_TIERS)('%s: sequences of one batch, each with rows of its own dropped and rounded', async (tier) => {
  const executor = await executorFor(tier);
  const form = { kind: 'lossy', window: 40, sinks: 5, type: 'q4_0', recent: 20, debug: true } as const;
  const pasts = [idsOf(1, 280), idsOf(2, 20), idsOf(3, 200)];
  const next = [7, 8, 9, 10, 11];
  const cache = executor.createCache(300, form);
  const parts = pasts.map((past) => {
    const sequence = cache.create();
    for (let from = 0; from < past.length; ) {
      const ids = past.slice(from, from + Math.min(30, cache.most(sequence)));
      executor.run(batchOf(cache, [{ sequence, ids }]), cache);
      from += ids.length;
    }
    return { sequence, ids: next };
  });
  expect(new Set(parts.map(({ sequence }) => cache.dropped(sequence))).size).toBe(3);
  const together = executor.run(batchOf(cache, parts), cache).data;
  const alone = pasts.flatMap((past) =>
    logitsOver(executor, executor.createCache(300, form), [...past, ...next], [30]).slice(-next.length * CONFIG.vocab),
  );
  expect(firstDifference(together, alone)).toBeUndefined();
});

test('threads share the packing and unpacking of rows', async () => {
  const ids = idsOf(9, 100);
  const one = await executorFor('wasm simd');
  const two = await executorOf('wasm simd', MODEL, 'q8', undefined, 2);
  for (const type of ['q8_0', 'q4_0'] as const) {
    const logits = (executor: Executor) =>
      logitsOver(executor, executor.createCache(100, { kind: 'lossy', type }), ids, [30]);
    expect(firstDifference(logits(two), logits(one))).toBeUndefined();
  }
  two.dispose();
});

describe('a run that is traced', () => {
  const FORM = { kind: 'lossy', window: 50, sinks: 3, type: 'q8_0', debug: true } as const;
  const ids = idsOf(4, 200);

  /** The last 10 of 200 tokens, when pages have been dropped. */
  function lastRun(executor: Executor) {
    const cache = executor.createCache(ids.length, FORM);
    const sequence = cache.create();
    for (let from = 0; from < 190; from += 19) {
      executor.run(batchOf(cache, [{ sequence, ids: ids.slice(from, from + 19) }]), cache);
    }
    const batch = batchOf(cache, [{ sequence, ids: ids.slice(190) }]);
    expect(cache.dropped(sequence)).toBe(PAGE_POSITIONS);
    return { batch, cache };
  }

  test('shows the values of naive: rows that were dropped are no columns of the scores, what is not seen is 0', async () => {
    const plain = (graph: Executor['graph']) => graph;
    const naive = await executorFor('naive');
    const wasm = await executorOf('wasm simd', MODEL, 'q8', plain);
    const [a, b] = [naive, wasm].map((executor) => {
      const { batch, cache } = lastRun(executor);
      return recordRun(executor, batch, cache);
    });
    expect([...b!.values.keys()].sort()).toEqual([...a!.values.keys()].sort());
    for (const [name, { shape, data }] of a!.values) {
      expect(b!.values.get(name)!.shape).toEqual(shape);
      expect(firstDifference(b!.values.get(name)!.data, data), name).toBeUndefined();
    }
    expect(a!.values.get('blk.0.probs')!.shape).toEqual([CONFIG.nHeads, 10, 200 - PAGE_POSITIONS]);
    wasm.dispose();
  });

  test('keeps the bounds of every op', async () => {
    const naive = await executorFor('naive');
    const weights = await loadWeights(naive.graph, MODEL.tensors);
    const { batch, cache } = lastRun(naive);
    const { ops, firstOutside } = boundedRun(naive, weights, batch, cache);
    expect(firstOutside).toBeUndefined();
    for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
  });
});
