import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Model } from '../../src/engine/model.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { greedily, recordSteps } from '../../src/exec/record_steps.ts';
import { loadModel } from '../../src/index.node.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import { firstBitDifference } from '../support/bits.ts';

let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded');
});
afterAll(() => model.dispose());

const PROMPT = [0, 440, 414];
const record = (choose: Parameters<typeof recordSteps>[2], maxSeq = 16) =>
  recordSteps(model.executor, PROMPT, choose, maxSeq);

describe('recordSteps', () => {
  test('keeps every value of the prompt and of each greedy step', async () => {
    const { steps, chosen } = await record(greedily(3));
    const greedy: number[] = [];
    for await (const { id } of model.generate({ ids: PROMPT }, { temperature: 0, maxTokens: 3 })) greedy.push(id);
    expect(chosen).toEqual(greedy);
    expect(steps).toHaveLength(4);
    const ids = [...PROMPT, ...chosen];
    const all = await model.logits(ids);
    steps.forEach(({ values, logits }, i) => {
      const position = PROMPT.length - 1 + i;
      const expected = all.data.subarray(position * all.vocab, (position + 1) * all.vocab);
      expect(firstBitDifference(logits.data, expected)).toBe(-1);
      expect(values.get('embedding')!.shape).toEqual([i === 0 ? 3 : 1, 256]);
      expect(values.get('blk.0.mix')!.shape).toEqual([i === 0 ? 3 : 1, 8, 32]);
    });
  });

  test('follows the ids that it is given', async () => {
    const forced = [700, 5];
    const { steps, chosen } = await record((step) => forced[step] ?? null);
    expect(chosen).toEqual(forced);
    const all = await model.logits([...PROMPT, ...forced]);
    expect(firstBitDifference(steps[2]!.logits.data, all.data.subarray(4 * all.vocab))).toBe(-1);
  });

  test('leaves no rows behind, however it ends', async () => {
    const caches: KvCache[] = [];
    const executor: Executor = {
      ...model.executor,
      createCache(maxSeq) {
        caches.push(model.executor.createCache(maxSeq));
        return caches.at(-1)!;
      },
    };
    await expect(recordSteps(executor, [], greedily(1), 8)).rejects.toThrow('no ids');
    await expect(recordSteps(executor, [5000], greedily(1), 8)).rejects.toThrow('outside the vocabulary');
    await expect(recordSteps(executor, PROMPT, greedily(9), 5)).rejects.toThrow('maxSeq=5');
    const stop = new Error('stop');
    let nRuns = 0;
    const stopped = recordSteps(executor, PROMPT, greedily(9), 16, async () => {
      if (++nRuns === 3) throw stop;
    });
    await expect(stopped).rejects.toBe(stop);
    await recordSteps(executor, PROMPT, greedily(2), 16);
    expect(caches.map((cache) => cache.bytesInUse)).toEqual([0, 0, 0, 0]);
  });
});

describe('greedily', () => {
  const logits = (...data: number[]) => ({ vocab: data.length, data: Float32Array.from(data) });

  test('takes the likeliest id, the lowest of equals, so many times', () => {
    const choose = greedily(2);
    expect(choose(0, logits(-3, 5, 5))).toBe(1);
    expect(choose(1, logits(-3, -4, -2))).toBe(2);
    expect(choose(2, logits(1, 2))).toBeNull();
  });

  test('ends where logits are not finite', () => {
    for (const bad of [NaN, Infinity, -Infinity]) expect(greedily(9)(0, logits(1, bad, 3))).toBeNull();
  });
});
