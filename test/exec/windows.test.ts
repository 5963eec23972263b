import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { Executor } from '../../src/exec/executor.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { buildLlama } from '../../src/models/llama.ts';
import { chunksDoNotMatter } from '../support/equal_bits.ts';
import {
  BUILDS,
  batchOf,
  executorOfGraph,
  F32_TIERS,
  firstDifference,
  HOST,
  type TierName,
  traceOf,
} from '../support/executors.ts';
import { type Limits, withLimits } from '../support/limits.ts';
import { tinyLlama } from '../support/tiny_llama.ts';

/** Windows and caps that a model's own layers have: what a row sees, and equal bits in every way to run it. */

const CONFIG = { nLayers: 3, nHeads: 4, nKvHeads: 2, headDim: 32, ropeDim: 32, dim: 64, vocab: 53, maxContext: 400 };
const MODEL = tinyLlama({ seed: 13, dtype: 'f32', config: CONFIG });
/** Over the borders of key blocks and chunks of values: shorter than a block, none, longer than one. */
const LIMITS: readonly Limits[] = [{ window: 5, cap: 2 }, {}, { window: 20 }];

const made = new Map<string, Promise<Executor>>();
function executorFor(tier: TierName, passes = optimize, nThreads = 1): Promise<Executor> {
  const key = `${tier} ${passes === optimize} ${nThreads}`;
  let executor = made.get(key);
  if (executor === undefined) {
    const graph = withLimits(buildLlama(MODEL.config, MODEL.tensors, 'f32'), (layer) => LIMITS[layer] ?? {});
    executor = executorOfGraph(tier, graph, MODEL.tensors, passes, nThreads);
    made.set(key, executor);
  }
  return executor;
}
afterAll(async () => {
  for (const executor of made.values()) (await executor).dispose();
});

const idArray = (min: number, max: number) =>
  fc.array(fc.integer({ min: 0, max: CONFIG.vocab - 1 }), { minLength: min, maxLength: max });
const longIds = Array.from({ length: 150 }, (_, i) => (i * i * 7 + 3 * i) % CONFIG.vocab);
const OTHERS = F32_TIERS.filter((tier) => tier !== 'naive');

/** One layer: the last row's logits are those of any other sequence of this length with the same last `window` ids, and of no other. */
async function seesExactly(window: number, tier: TierName, stated = window, isBidirectional = false): Promise<void> {
  const one = tinyLlama({ seed: 14, dtype: 'f32', config: { ...CONFIG, nLayers: 1 } });
  const graph = withLimits(buildLlama(one.config, one.tensors, 'f32'), () => ({ window: stated }));
  const executor = await executorOfGraph(tier, graph, one.tensors);
  const lastRow = (ids: readonly number[]) => {
    const cache = executor.createCache(ids.length);
    const sequence = cache.create();
    const batch = { ...batchOf(cache, [{ sequence, ids }]), isBidirectional };
    const { vocab, data } = executor.run(batch, cache);
    // Of rows that see both sides, the first one: it sees as far ahead as the last one back.
    return isBidirectional ? data.slice(0, vocab) : data.slice(-vocab);
  };
  for (const length of [window, window + 1, window + 19]) {
    const ids = longIds.slice(0, length);
    const backOf = (i: number) => (isBidirectional ? i : length - 1 - i);
    const changed = (isChanged: (back: number) => boolean) =>
      lastRow(ids.map((id, i) => (isChanged(backOf(i)) ? (id + 1) % CONFIG.vocab : id)));
    const own = lastRow(ids);
    expect(
      firstDifference(
        changed((back) => back >= window),
        own,
      ),
      'all that is further away',
    ).toBeUndefined();
    expect(
      firstDifference(
        changed((back) => back === window - 1),
        own,
      ),
      'the last one in the window',
    ).toBeDefined();
  }
  executor.dispose();
}

describe.each(F32_TIERS)('%s', (tier) => {
  test.each([1, 5, 17])('a row sees its own position and the %i - 1 before it', (window) => seesExactly(window, tier));
  test('where it sees both sides, as many on either', () => seesExactly(6, tier, 6, true));

  test('any chunking has the bits of one token at a time', async () => {
    const executor = await executorFor(tier);
    fc.assert(chunksDoNotMatter(executor, fc.oneof(idArray(20, 60), fc.constant(longIds.slice(0, 70)))), {
      numRuns: tier === 'naive' ? 2 : 10,
    });
  });
});

test.each([4, 6])('a window of %i where 5 is meant is caught', async (stated) => {
  await expect(seesExactly(5, 'naive', stated)).rejects.toThrow();
});

/** Forms with equal bits, and what is lost on purpose: a window of the cache's own with sinks, and rows that are codes. */
const FORMS: readonly KvOptions[] = [
  { kind: 'contiguous', debug: true },
  { kind: 'paged', pageSize: 16, debug: true },
  { kind: 'tiered', pageSize: 16, budget: 192, debug: true, files: HOST.scratch },
  { kind: 'lossy', window: 12, sinks: 3, debug: true },
  { kind: 'lossy', type: 'q8_0', debug: true },
  { kind: 'lossy', window: 70, sinks: 2, type: 'q4_0', debug: true },
];

/** Logits of two sequences that run together, in the given chunks. */
function together(executor: Executor, form: KvOptions, chunks: readonly number[]): number[] {
  const cache = executor.createCache(400, form);
  const parts = [
    { sequence: cache.create(), left: longIds.slice(0, 96), logits: [] as number[] },
    { sequence: cache.create(), left: longIds.slice(40, 75), logits: [] as number[] },
  ];
  for (let i = 0; parts.some(({ left }) => left.length > 0); i++) {
    const now = parts.filter(({ left }) => left.length > 0);
    const taken = now.map((part) => ({
      sequence: part.sequence,
      ids: part.left.splice(0, chunks[i % chunks.length]!),
    }));
    const { vocab, data } = executor.run(batchOf(cache, taken), cache);
    let row = 0;
    now.forEach((part, p) => {
      const until = row + taken[p]!.ids.length * vocab;
      part.logits.push(...data.subarray(row, until));
      row = until;
    });
  }
  for (const { sequence } of parts) cache.release(sequence);
  cache.dispose?.();
  return parts.flatMap(({ logits }) => logits);
}

test.each(FORMS.map((form) => [JSON.stringify({ ...form, files: undefined, debug: undefined }), form] as const))(
  'cache %s: every tier, two threads and nothing fused, any chunking: the bits of naive',
  async (_name, form) => {
    const expected = together(await executorFor('naive'), form, [47]);
    for (const tier of OTHERS) {
      for (const executor of [
        await executorFor(tier),
        await executorFor(tier, optimize, 2),
        await executorFor(tier, (graph) => graph),
      ]) {
        for (const chunks of [[64], [1, 30, 5]]) {
          expect(firstDifference(together(executor, form, chunks), expected), `${tier} ${chunks}`).toBeUndefined();
        }
      }
    }
  },
);

test('and a graph that forgets them is caught', async () => {
  const limitless = await executorOfGraph('naive', buildLlama(MODEL.config, MODEL.tensors, 'f32'), MODEL.tensors);
  const limited = together(await executorFor('naive'), FORMS[0]!, [47]);
  expect(firstDifference(together(limitless, FORMS[0]!, [47]), limited)).toBeDefined();
  limitless.dispose();
});

test.each(BUILDS)('wasm %s: every score and probability that is traced is that of naive', async (build) => {
  const ids = longIds.slice(0, 40);
  const expected = traceOf(await executorFor('naive'), ids);
  const traced = traceOf(await executorFor(`wasm ${build}`, (graph) => graph), ids);
  expect([...traced.keys()]).toEqual(expect.arrayContaining(['blk.0.scores', 'blk.0.probs', 'blk.2.mix']));
  for (const [name, { data }] of traced) {
    expect(firstDifference(data, expected.get(name)!.data), name).toBeUndefined();
  }
  expect(Math.max(...expected.get('blk.0.scores')!.data.map(Math.abs)), 'below the cap').toBeLessThan(2);
});
