import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ManyEvent, ManyOptions, ManyRequest } from '../../src/engine/generate_many.ts';
import type { Model } from '../../src/engine/model.ts';
import { sampleSeed } from '../../src/engine/sample_seed.ts';
import { loadModel } from '../../src/index.node.ts';

let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded', { prefillChunk: 6 });
});
afterAll(() => model.dispose());

/** What each sample of each request gave, by "index.sample"; ends are counted. */
async function collect(requests: readonly ManyRequest[], options?: ManyOptions, from = model) {
  const all: Record<string, { ids: number[]; text: string; reason?: string; error?: unknown; ends: number }> = {};
  const order: string[] = [];
  for await (const event of from.generateMany(requests, options)) {
    const key = `${event.index}.${event.sample}`;
    all[key] ??= { ids: [], text: '', ends: 0 };
    const own = all[key];
    expect(own.ends).toBe(0);
    if ('piece' in event) {
      own.ids.push(event.piece.id);
      own.text += event.piece.text;
      continue;
    }
    own.ends++;
    order.push(key);
    if ('summary' in event) own.reason = event.summary.finishReason;
    else own.error = event.error;
  }
  for (const { ends } of Object.values(all)) expect(ends).toBe(1);
  return { all, order };
}

async function alone({ prompt, ...options }: ManyRequest, from = model) {
  const ids: number[] = [];
  let text = '';
  for await (const piece of from.generate(prompt, options)) {
    ids.push(piece.id);
    text += piece.text;
  }
  return { ids, text };
}

const REQUESTS: readonly ManyRequest[] = [
  { prompt: 'Once upon a time', maxTokens: 20, temperature: 0 },
  { prompt: 'One day, Tom and his dog went to the park and saw', maxTokens: 12, seed: 7 },
  { prompt: { ids: [0] }, maxTokens: 9, seed: 2, repeatPenalty: 1.3, priority: 3 },
  { prompt: 'The sun was', maxTokens: 30, temperature: 0, stop: ['.'] },
  { prompt: 'Lily', maxTokens: 15, temperature: 1, topK: 0, topP: 1, minP: 0, seed: 5, priority: -2 },
];

describe('generateMany', () => {
  test.each([{}, { maxBatch: 1 }, { maxBatch: 2, tokenBudget: 3 }])(
    '%o: each text is that of generate alone',
    async (options) => {
      const before = model.info.cacheBytes;
      const { all } = await collect(REQUESTS, options);
      for (const [i, request] of REQUESTS.entries()) expect(all[`${i}.0`]).toMatchObject(await alone(request));
      expect(model.info.cacheBytes).toBe(before);
    },
  );

  test.each(['paged', 'prefix'] as const)(
    'over the %s cache too, also when its budget is too small for all at once',
    async (kind) => {
      await using paged = await loadModel('embedded', {
        kv: { kind, pageSize: 16, budget: 64 },
        prefillChunk: 6,
      });
      const { all } = await collect(REQUESTS, {}, paged);
      for (const [i, request] of REQUESTS.entries()) expect(all[`${i}.0`]).toMatchObject(await alone(request));
    },
  );

  test('higher priorities end first where one runs at a time', async () => {
    const short = REQUESTS.map((request) => ({ ...request, maxTokens: 2, stop: [] }));
    expect((await collect(short, { maxBatch: 1 })).order).toEqual(['2.0', '0.0', '1.0', '3.0', '4.0']);
  });

  test('what is wrong with one request is told of that one alone', async () => {
    const { all } = await collect([
      { prompt: 'One', maxTokens: 3 },
      { prompt: 'Two', topP: 7 },
      { prompt: { ids: [99_999] } },
      { prompt: 'Four', priority: 0.5 },
      { prompt: 'Five', n: 0 },
      { prompt: { ids: Array.from({ length: 600 }, () => 5) } },
    ]);
    expect(all['0.0']!.reason).toBe('length');
    const errors = [1, 2, 3, 4, 5].map((i) => String(all[`${i}.0`]!.error));
    expect(errors).toEqual([
      expect.stringMatching(/ConfigError: top-p is 7/),
      expect.stringMatching(/ShapeError: token id 99999 is outside the vocabulary/),
      expect.stringMatching(/ConfigError: priority is 0.5/),
      expect.stringMatching(/ConfigError: n is 0/),
      expect.stringMatching(/CapacityError: the sequence has 600 tokens.*maxSeq=512/),
    ]);
  });

  test('a signal ends its own request with its reason; one for all throws', async () => {
    const controller = new AbortController();
    const requests = [
      { prompt: 'One', maxTokens: 30, signal: controller.signal },
      { prompt: 'Two', maxTokens: 30 },
    ];
    const seen: ManyEvent[] = [];
    for await (const event of model.generateMany(requests)) {
      seen.push(event);
      if (seen.length === 6) controller.abort(new Error('enough'));
    }
    const ends = seen.filter((event) => !('piece' in event));
    expect(ends[0]).toMatchObject({ index: 0, error: new Error('enough') });
    expect(ends[1]).toMatchObject({ index: 1, summary: { genTokens: 30 } });
    const all = model.generateMany(requests, { signal: AbortSignal.abort(new Error('stop')) });
    await expect(all.next()).rejects.toThrow('stop');
  });

  test('leaving the loop early gives the memory back', async () => {
    const before = model.info.cacheBytes;
    for await (const event of model.generateMany(REQUESTS)) if ('piece' in event) break;
    expect(model.info.cacheBytes).toBe(before);
  });

  test('n samples: each is the run alone with its own seed', async () => {
    const request = { prompt: 'Once upon a time', maxTokens: 12, seed: 2n ** 64n - 2n };
    const { all } = await collect([{ ...request, n: 4 }]);
    for (let k = 0; k < 4; k++) {
      expect(all[`0.${k}`]).toMatchObject(await alone({ ...request, seed: sampleSeed(request.seed, k) }));
    }
    expect([0, 1, 2, 3].map((k) => sampleSeed(request.seed, k))).toEqual([2n ** 64n - 2n, 2n ** 64n - 1n, 0n, 1n]);
    expect(new Set(Object.values(all).map(({ text }) => text)).size).toBe(4);
  });

  test('no requests, no events; a batch of 0 is refused', async () => {
    expect((await collect([])).order).toEqual([]);
    await expect(model.generateMany(REQUESTS, { maxBatch: 0 }).next()).rejects.toThrow(/batch is 0/);
  });
});
