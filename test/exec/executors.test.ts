import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { chunksDoNotMatter, compareTiers, FORMS, isSmall } from '../support/equal_bits.ts';
import {
  BUILDS,
  batchOf,
  executorOf,
  firstDifference,
  logitsInChunks,
  TIERS,
  type TierName,
  traceOf,
} from '../support/executors.ts';
import { TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

/** One suite for all tiers: what a run may not depend on. Loading is the slow part, so each executor is made once. */
const made = new Map<string, Promise<Executor>>();
const model = (dtype: DType) => tinyLlama({ seed: 7, dtype });

function shared(tier: TierName, dtype: DType, activations: Activations): Promise<Executor> {
  const key = `${tier} ${dtype} ${activations}`;
  let executor = made.get(key);
  if (executor === undefined) {
    executor = executorOf(tier, model(dtype), activations);
    made.set(key, executor);
  }
  return executor;
}

afterAll(async () => {
  for (const executor of made.values()) (await executor).dispose();
});

const idArray = (min: number, max: number) =>
  fc.array(fc.integer({ min: 0, max: TINY_CONFIG.vocab - 1 }), { minLength: min, maxLength: max });

/** Lengths around the borders of key blocks (16) and of token tiles (4). */
const idsOverBorders = fc.oneof(...[1, 2, 3, 4, 5, 15, 16, 17, 33].map((n) => idArray(n, n)), idArray(1, 48));

test('every build that should be there is there', () => {
  expect(BUILDS).toContain('simd');
  expect(BUILDS).toContain('relaxed');
});

describe.each(TIERS)('%s', (tier) => {
  test.each(FORMS.filter(isSmall))(
    '%s weights, %s activations: any chunking has the bits of one token at a time',
    async (dtype, form) => {
      const executor = await shared(tier, dtype, form);
      fc.assert(chunksDoNotMatter(executor, idsOverBorders), { numRuns: tier.startsWith('wasm') ? 10 : 4 });
    },
  );

  test('sequences run together have the bits of each one alone', async () => {
    const executor = await shared(tier, 'q8_0', 'q8');
    fc.assert(
      fc.property(fc.array(idArray(2, 20), { minLength: 2, maxLength: 4 }), (sequences) => {
        const cache = executor.createCache(64);
        const parts = sequences.map((ids) => ({ sequence: cache.create(), ids }));
        const heads = parts.map((p) => ({ ...p, ids: p.ids.slice(0, 1) }));
        const tails = parts.map((p) => ({ ...p, ids: p.ids.slice(1) }));
        const { vocab, data: first } = executor.run(batchOf(cache, heads), cache);
        const { data: rest } = executor.run(batchOf(cache, tails), cache);
        let row = 0;
        return sequences.every((ids, i) => {
          const together = [
            ...first.subarray(i * vocab, (i + 1) * vocab),
            ...rest.subarray(row * vocab, (row + ids.length - 1) * vocab),
          ];
          row += ids.length - 1;
          return firstDifference(together, logitsInChunks(executor, ids, [])) === undefined;
        });
      }),
      { numRuns: 10 },
    );
  });

  test('truncate and append again has the bits of never truncated; a fork has those of its origin', async () => {
    const executor = await shared(tier, 'f32', 'f32');
    fc.assert(
      fc.property(idArray(1, 30), idArray(1, 30), idArray(1, 10), (kept, dropped, after) => {
        const cache = executor.createCache(96);
        const sequence = cache.create();
        executor.run(batchOf(cache, [{ sequence, ids: [...kept, ...dropped] }]), cache);
        cache.truncate(sequence, kept.length);
        const fork = cache.fork(sequence);
        const again = executor.run(batchOf(cache, [{ sequence, ids: after }]), cache).data;
        const forked = executor.run(batchOf(cache, [{ sequence: fork, ids: after }]), cache).data;
        const plain = logitsInChunks(executor, [...kept, ...after], []).slice(-again.length);
        cache.release(sequence);
        cache.release(fork);
        return firstDifference(again, plain) === undefined && firstDifference(forked, plain) === undefined;
      }),
      { numRuns: 10 },
    );
  });

  test('asking for some rows gives the bits of asking for all, and asking for none gives none', async () => {
    const executor = await shared(tier, 'q4_0', 'q8');
    const ids = [3, 1, 4, 1, 5, 9, 2, 6];
    const all = logitsInChunks(executor, ids, []);
    const cache = executor.createCache(ids.length);
    const sequence = cache.create();
    const batch = { ...batchOf(cache, [{ sequence, ids }]), outRows: Int32Array.of(7, 0, 7) };
    const { vocab, data } = executor.run(batch, cache);
    const row = (r: number) => all.slice(r * vocab, (r + 1) * vocab);
    expect(firstDifference(data, [...row(7), ...row(0), ...row(7)])).toBeUndefined();
    cache.truncate(sequence, 0);
    const none = { ...batchOf(cache, [{ sequence, ids }]), outRows: new Int32Array(0) };
    expect(executor.run(none, cache).data).toHaveLength(0);
  });

  test('a batch that does not fit itself or the cache is refused', async () => {
    const executor = await shared(tier, 'f32', 'f32');
    const cache = executor.createCache(8);
    const sequence = cache.create();
    const good = batchOf(cache, [{ sequence, ids: [1, 2] }]);
    const bad = (change: object, message: RegExp) =>
      expect(() => executor.run({ ...good, ...change }, cache)).toThrow(message);
    bad({ ids: new Int32Array(0) }, /no token ids/);
    bad({ ids: Int32Array.of(1, TINY_CONFIG.vocab) }, /token id 53 is outside the vocabulary 0\.\.52/);
    bad({ ids: Int32Array.of(1, -1) }, /token id -1/);
    bad({ positions: Int32Array.of(1, 2) }, /position 1, expected 0/);
    bad({ segments: [{ sequence, from: 0, count: 1 }] }, /position 0, expected 1|cover 1 rows of 2/);
    bad({ outRows: Int32Array.of(2) }, /row 2, it has rows 0\.\.1/);
    expect(() => cache.reserve(sequence, 7)).toThrow(/position 8 does not fit maxSeq=8/);
  });
});

test('a wasm executor refuses a cache of another memory', async () => {
  const a = await shared('wasm simd', 'f32', 'f32');
  const other = await executorOf('wasm simd', model('f32'), 'f32');
  const foreign = other.createCache(8);
  const batch = batchOf(foreign, [{ sequence: foreign.create(), ids: [1] }]);
  expect(() => a.run(batch, foreign)).toThrow(/another memory/);
  other.dispose();
});

describe('equal bits', () => {
  test.each(FORMS)('%s weights, %s activations: wasm has the bits of naive in every value', async (dtype, form) => {
    const runs = isSmall([dtype, form]) ? { numRuns: 3, maxTokens: 21 } : { numRuns: 1, maxTokens: 12 };
    expect(await compareTiers(dtype, form, runs)).toBeGreaterThan(10 * runs.numRuns);
  });

  test('formats side by side, some of which round the same activations in other blocks', async () => {
    const others = { attn_k: 'q6_k', attn_v: 'q8_0', ffn_up: 'q4_0', ffn_down: 'q5_1', attn_output: 'tq2_0' } as const;
    const sizes = { dim: 256, hiddenDim: 256, nHeads: 4, nKvHeads: 2, headDim: 64, ropeDim: 64, nLayers: 2 };
    const mixed = tinyLlama({ seed: 3, dtype: 'q4_k', others, config: sizes });
    const ids = [1, 5, 2, 9, 4, 30, 7];
    const naive = traceOf(await executorOf('naive', mixed, 'q8'), ids);
    let compared = 0;
    for (const build of BUILDS) {
      const executor = await executorOf(`wasm ${build}`, mixed, 'q8');
      for (const [name, { data }] of traceOf(executor, ids)) {
        const expected = naive.get(name);
        if (expected === undefined) continue; // a value of the optimized graph
        compared++;
        expect(firstDifference(data, expected.data), `${build}: ${name}`).toBeUndefined();
      }
      executor.dispose();
    }
    expect(compared).toBeGreaterThan(50);
  });

  test('and a changed weight bit is seen by that comparison', async () => {
    const tiny = model('q8_0');
    const changed = model('q8_0');
    const { source } = changed.tensors.get('blk.1.ffn_down.weight')!;
    const bytes = new Uint8Array(source.size);
    await source.read(0, bytes);
    bytes[5]! ^= 1;
    await source.close();
    const patched = {
      ...source,
      read: async (offset: number, into: Uint8Array) => into.set(bytes.subarray(offset, offset + into.length)),
    };
    (changed.tensors as Map<string, unknown>).set('blk.1.ffn_down.weight', {
      ...changed.tensors.get('blk.1.ffn_down.weight')!,
      source: patched,
    });
    const a = traceOf(await executorOf('naive', tiny, 'q8'), [1, 2, 3]);
    const b = traceOf(await executorOf('naive', changed, 'q8'), [1, 2, 3]);
    const names = [...a.keys()].filter((name) => firstDifference(a.get(name)!.data, b.get(name)!.data) !== undefined);
    expect(names[0]).toBe('blk.1.ffn_down');
  });
});
