import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Model } from '../../src/engine/model.ts';
import { loadModel } from '../../src/index.node.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { firstDifference } from '../support/executors.ts';
import { bytesOf } from '../support/pieces.ts';

/** Sessions over a cache that finds pages again, beside a model whose cache does not. */
let plain: Model;
beforeAll(async () => {
  plain = await loadModel('embedded', { maxSeq: 128 });
});
afterAll(() => plain.dispose());

const FORMS: readonly KvOptions[] = [
  { kind: 'prefix', debug: true },
  { kind: 'prefix', pageSize: 32, debug: true },
  { kind: 'prefix', budget: 160, debug: true },
  { kind: 'tiered', debug: true },
];

/** Prompts of two texts of which each has a beginning, so that many begin alike. */
const TEXTS = [1, 2].map((seed) => Array.from({ length: 90 }, (_, t) => 16 + ((t * t * 31 + t * seed * 7) % 1000)));
const prompts = fc.array(
  fc.record({ text: fc.nat(1), length: fc.integer({ min: 1, max: 90 }), end: fc.integer({ min: 16, max: 1023 }) }),
  { minLength: 3, maxLength: 6 },
);

describe.each(FORMS)('%j', (kv) => {
  test('hit or miss, a prompt has the same logits, and what follows it too', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, prefillChunk: 24, kv });
    await fc.assert(
      fc.asyncProperty(prompts, async (list) => {
        for (const { text, length, end } of list) {
          const ids = [...TEXTS[text]!.slice(0, length), end];
          using session = model.createSession();
          using reference = plain.createSession();
          for (const part of [ids, [17], [18, 19]]) {
            const { data } = await session.append(part);
            expect(firstDifference(data, (await reference.append(part)).data)).toBeUndefined();
          }
          expect(session.ids).toEqual([...ids, 17, 18, 19]);
        }
      }),
      { numRuns: 6, seed: 3 },
    );
    const { pages, prefix } = model.cacheStats();
    expect(prefix!.nHits).toBeGreaterThan(20);
    expect(pages!.nUsed).toBe(0);
  });
});

describe('a session', () => {
  test('computes only what is new: a prompt that is there but for one id is one run of one token', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, kv: { kind: 'prefix' } });
    const runs: number[] = [];
    const { run } = model.executor;
    Object.assign(model.executor, {
      run(...args: Parameters<typeof run>) {
        runs.push(args[0].ids.length);
        return run(...args);
      },
    });
    const ids = TEXTS[0]!.slice(0, 65);
    for (let i = 0; i < 2; i++) {
      using session = model.createSession();
      await session.append(ids);
    }
    expect(runs).toEqual([65, 1]);
  });

  test('all logits are asked for: nothing is taken over', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, kv: { kind: 'prefix' } });
    const ids = TEXTS[0]!.slice(0, 40);
    const first = await model.logits(ids);
    const again = await model.logits(ids);
    expect(firstDifference(again.data, first.data)).toBeUndefined();
    expect(model.cacheStats().prefix).toMatchObject({ nHits: 0, nFindable: 2 });
  });

  test('salts keep sessions apart', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, kv: { kind: 'prefix', salt: 'x' } });
    for (const salt of ['a', 'b', 'a']) {
      using session = model.createSession({ salt });
      await session.append(TEXTS[0]!.slice(0, 40));
    }
    expect(model.cacheStats().prefix).toMatchObject({ nHits: 2, nMisses: 4 });
  });

  test('an append that fails takes back what it had taken over', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, kv: { kind: 'prefix' } });
    {
      using session = model.createSession();
      await session.append(TEXTS[0]!.slice(0, 40));
    }
    using session = model.createSession();
    await expect(session.append([...TEXTS[0]!.slice(0, 40), 5000])).rejects.toThrow(/token id 5000/);
    expect(session.ids).toEqual([]);
    expect(model.cacheStats().pages).toMatchObject({ nUsed: 0, nKept: 2 });
    const { data } = await session.append(TEXTS[0]!.slice(0, 40));
    expect(
      firstDifference(data, (await plain.logits(TEXTS[0]!.slice(0, 40))).data.slice(-data.length)),
    ).toBeUndefined();
  });

  test('that was restored from a file gives its pages to nobody: the file may say anything', async () => {
    await using model = await loadModel('embedded', { maxSeq: 128, kv: { kind: 'prefix' } });
    using saved = plain.createSession();
    await saved.append(TEXTS[0]!.slice(0, 40));
    const { session } = await model.restoreSession(bufferSource('it', await bytesOf(saved.save())));
    await session.append(TEXTS[0]!.slice(40, 60));
    using fork = session.fork();
    await fork.append([17]);
    session.dispose();
    expect(model.cacheStats().prefix!.nFindable).toBe(0);
  });
});
