import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Embedder } from '../../src/engine/embedder.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { Batch, Tier } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { loadEmbedder as loadInPage } from '../../src/index.browser.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { RANDOM_ENCODERS, type RandomEncoderName } from '../../src/load/random_architectures.ts';
import { POOLINGS } from '../../src/models/encoder.ts';
import { describeEncoderGguf } from '../../src/models/encoders.ts';
import {
  distance,
  encoderFile,
  GOLDEN_ENCODERS,
  GOLDEN_RERANKERS,
  goldenEmbedder,
  goldenFolder,
  goldenReranker,
  randomEmbedder,
  randomReranker,
  readGolden,
} from '../support/encoder_cases.ts';
import { firstDifference } from '../support/executors.ts';

/** XLM-R's graph is BERT's; test/models/xlm_roberta.test.ts has its vocabulary. */
type OwnGraph = Exclude<RandomEncoderName, 'xlm-roberta'>;
const ALL_RANDOM = (Object.keys(RANDOM_ENCODERS) as RandomEncoderName[]).filter(
  (name): name is OwnGraph => name !== 'xlm-roberta',
);
const F32_TIERS = ['naive', 'wasm'] as const;

/**
 * naive64 computes what the goldens were computed with, f32 rounds 2^29 times as much. A model that is another one is as far
 * away in float64 as in f32; rounding alone, which adds up by chance, is told from it by the middle of the two.
 */
const FINER = 2 ** -15;

describe.each(GOLDEN_ENCODERS)('%s', (name) => {
  const { texts } = readGolden(name);

  test('reads its texts as the goldens do', async () => {
    await using model = await goldenEmbedder(name, { executor: 'naive' });
    for (const { text, ids } of texts) expect(model.tokenizer.encode(text)).toEqual(ids);
    expect(texts.length).toBe(5);
  });

  test('has the vectors of the goldens, of every pooling', async () => {
    const all = texts.map(({ text }) => text);
    const far = async (executor: Tier): Promise<number> => {
      await using model = await goldenEmbedder(name, { executor });
      let most = distance(
        await model.embed(all, { pooling: 'mean', normalize: false }),
        texts.map(({ raw }) => raw),
      );
      for (const pooling of POOLINGS) {
        most = Math.max(
          most,
          distance(
            await model.embed(all, { pooling }),
            texts.map((golden) => golden[pooling]),
          ),
        );
      }
      return most;
    };
    const truth = await far('naive64');
    for (const executor of F32_TIERS) expect(truth).toBeLessThanOrEqual(FINER * (await far(executor)));
  });
});

describe.each(GOLDEN_RERANKERS)('%s', (name) => {
  test('has the scores of the goldens, best first', async () => {
    const { pairs } = readGolden(name);
    const far = async (executor: Tier): Promise<number> => {
      await using model = await goldenReranker(name, { executor });
      let most = 0;
      for (const query of new Set(pairs.map((pair) => pair.query))) {
        const asked = pairs.filter((pair) => pair.query === query);
        const ranked = await model.rank(
          query,
          asked.map(({ document }) => document),
        );
        expect(ranked.map(({ score }) => score)).toEqual(ranked.map(({ score }) => score).sort((a, b) => b - a));
        expect(ranked.length).toBe(asked.length);
        for (const { index, score } of ranked) most = Math.max(most, Math.abs(score - asked[index]!.score));
      }
      return most;
    };
    const truth = await far('naive64');
    for (const executor of F32_TIERS) expect(truth).toBeLessThanOrEqual(FINER * (await far(executor)));
  });
});

test('what a folder says of pooling is what is done', async () => {
  const said = {
    bert: 'mean',
    roberta: 'cls',
    distilbert: 'last',
    nomic_bert: 'mean',
    modernbert: 'cls',
    mpnet: 'mean',
  } as const;
  for (const [name, pooling] of Object.entries(said)) {
    await using model = await goldenEmbedder(name, { executor: 'naive' });
    expect(model.info.pooling).toBe(pooling);
    const [byDefault] = await model.embed(['a cat']);
    const [asked] = await model.embed(['a cat'], { pooling });
    expect(firstDifference(byDefault!, asked!)).toBeUndefined();
  }
  await using reranker = await goldenEmbedder('bert_reranker', { executor: 'naive' });
  await expect(reranker.embed(['a cat'])).rejects.toThrow(/do not say how rows become a vector; name a pooling/);
});

test('a page loads a folder from its files, by the names that they have there', async () => {
  const names = ['config.json', 'tokenizer.json', 'model.safetensors', 'modules.json', '1_Pooling/config.json'];
  const files = new Map(names.map((name) => [name, new Blob([readFileSync(join(goldenFolder('roberta'), name))])]));
  await using page = await loadInPage(files, { executor: 'naive' });
  await using node = await goldenEmbedder('roberta', { executor: 'naive' });
  expect(page.info.pooling).toBe('cls');
  expect(await page.embed(['a cat'])).toEqual(await node.embed(['a cat']));
});

/** Of several lengths: one token and two ends, and as many as the model takes. */
const TEXTS = ['a', 'The quick brown fox', 'x'.repeat(35), 'zz', 'a b c d e f g'];

const vectorsOf = async (model: Embedder, texts: readonly string[]): Promise<number[]> =>
  (await model.embed(texts, { normalize: false, pooling: 'mean' })).flatMap((v) => [...v]);

describe.each(ALL_RANDOM)('a random %s', (architecture) => {
  const shapes = fc.record({
    seed: fc.nat(1000),
    nLayers: fc.integer({ min: 1, max: 2 }),
    nHeads: fc.integer({ min: 1, max: 4 }),
    halfHead: fc.integer({ min: 1, max: 5 }),
    hiddenDim: fc.integer({ min: 1, max: 33 }),
  });

  test('naive and wasm have equal bits, over random sizes', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ seed, nLayers, nHeads, halfHead, hiddenDim }) => {
        const shape = { nLayers, nHeads, nKvHeads: nHeads, dim: 2 * halfHead * nHeads, hiddenDim };
        await using naive = await randomEmbedder({ architecture, shape, seed }, { executor: 'naive' });
        const expected = await vectorsOf(naive, TEXTS);
        for (const kernels of ['simd', 'relaxed'] as const) {
          await using wasm = await randomEmbedder({ architecture, shape, seed }, { kernels });
          expect(firstDifference(await vectorsOf(wasm, TEXTS), expected)).toBeUndefined();
        }
      }),
      { numRuns: 3 },
    );
  });

  test.each(['naive', 'naive64', 'wasm'] as const)(
    '%s: texts in one run have the bits of each alone',
    async (executor) => {
      await using model = await randomEmbedder({ architecture }, { executor });
      const alone: number[] = [];
      for (const text of TEXTS) alone.push(...(await vectorsOf(model, [text])));
      expect(firstDifference(await vectorsOf(model, TEXTS), alone)).toBeUndefined();
      expect(new Set(alone).size).toBeGreaterThan(alone.length / 2);
    },
  );

  test('quantized weights and threads keep them too', async () => {
    const shape = { dim: 64, nHeads: 2, nKvHeads: 2, hiddenDim: 96 };
    await using naive = await randomEmbedder({ architecture, shape, format: 'q8_0' }, { executor: 'naive' });
    await using two = await randomEmbedder({ architecture, shape, format: 'q8_0' }, { threads: 2 });
    expect(two.info.threads).toBe(2);
    expect(firstDifference(await vectorsOf(two, TEXTS), await vectorsOf(naive, TEXTS))).toBeUndefined();
  });

  test('every value of a run lies within its bound of float64 on the same inputs', async () => {
    const file = await openModelFile(
      bufferSource('random.gguf', encoderFile({ architecture, shape: { tied: false } })),
    );
    const { buildGraph, tensors, nScores } = await describeEncoderGguf(file);
    const graph = buildGraph(tensors, 'f32', nScores === 1 ? 'scores' : 'rows');
    const weights = await loadWeights(graph, tensors);
    const executor = createNaiveExecutor(graph, weights);
    const cache = executor.createCache(16);
    const sequence = cache.create();
    cache.reserve(sequence, 9);
    const rows = Int32Array.from({ length: 9 }, (_, t) => t);
    const segments = [{ sequence, from: 0, count: 9 }];
    const types = rows.map((t) => Number(t > 4));
    const batch: Batch = {
      ids: rows.map((t) => 5 + t),
      positions: rows,
      types,
      segments,
      outRows: rows,
      isBidirectional: true,
    };
    const { ops, firstOutside } = boundedRun(executor, weights, batch, cache);
    expect(firstOutside).toBeUndefined();
    const expected = {
      bert: ['layer_norm', 'gelu', 'tanh'],
      'nomic-bert': ['layer_norm', 'silu', 'rope'],
      'modern-bert': ['layer_norm', 'gelu', 'rope', 'mul'],
      t5encoder: ['rms_norm', 'position_bias', 'gelu_tanh'],
    }[architecture];
    expect(ops.map(({ op }) => op)).toEqual(expect.arrayContaining(expected));
    if (architecture === 'modern-bert' || architecture === 't5encoder') return; // have no types
    expect(() => executor.run({ ...batch, types: rows }, cache)).toThrow(/batch: type 2 is outside 0\.\.1/);
    const { types: _types, ...untyped } = batch;
    expect(() => executor.run(untyped, cache)).toThrow(/9 ids and no types, which this model reads/);
  });
});

test('positions are no matter of what a file happens to have', async () => {
  const describeFile = async (architecture: OwnGraph) =>
    describeEncoderGguf(await openModelFile(bufferSource('a.gguf', encoderFile({ architecture })), undefined));
  const bert = await describeFile('bert');
  const without = new Map(bert.tensors);
  const positions = without.get('position_embd.weight')!;
  without.delete('position_embd.weight');
  expect(() => bert.buildGraph(bert.tensors, 'f32', 'rows')).not.toThrow();
  expect(() => bert.buildGraph(without, 'f32', 'rows')).toThrow(/position_embd\.weight \[40, 48\] is missing/);
  const nomic = await describeFile('nomic-bert');
  const withThem = new Map([...nomic.tensors, [positions.name, positions]]);
  expect(() => nomic.buildGraph(withThem, 'f32', 'rows')).toThrow(/position_embd\.weight/);
});

test('several calls may be under way at once', async () => {
  await using model = await goldenEmbedder('bert', { executor: 'naive' });
  await using reranker = await goldenReranker('bert_reranker', { executor: 'naive' });
  const texts = ['a cat', 'a dog and a cat', 'one more'];
  const alone: number[][] = [];
  for (const text of texts) alone.push(await vectorsOf(model, [text, text]));
  expect(await Promise.all(texts.map((text) => vectorsOf(model, [text, text])))).toEqual(alone);
  const ranked = await reranker.rank('cat?', texts);
  expect(await Promise.all([reranker.rank('cat?', texts), reranker.rank('cat?', texts)])).toEqual([ranked, ranked]);
});

test('a reranker: naive and wasm have equal bits, together and one by one', async () => {
  const documents = ['a', 'the quick brown fox', 'zz top', 'b'];
  const scoresOf = async (options: object, isAlone: boolean): Promise<number[]> => {
    await using model = await randomReranker({ architecture: 'bert' }, options);
    const scores: number[] = [];
    for (const [i, document] of documents.entries()) {
      const ranked = await model.rank('fox?', isAlone ? [document] : documents);
      scores.push(ranked.find(({ index }) => index === (isAlone ? 0 : i))!.score);
    }
    return scores;
  };
  const expected = await scoresOf({ executor: 'naive' }, true);
  expect(new Set(expected).size).toBe(documents.length);
  for (const options of [{ executor: 'naive' }, { kernels: 'simd' }, { kernels: 'relaxed' }, { threads: 2 }]) {
    expect(firstDifference(await scoresOf(options, false), expected)).toBeUndefined();
  }
});

test('ModernBERT: a row sees its window in the layers that have one, and all rows in the others', async () => {
  // One layer that sees all, and one that reaches two rows to each side: what is further away comes through the first only.
  const file = await openModelFile(bufferSource('random.gguf', encoderFile({ architecture: 'modern-bert' })));
  const { buildGraph, tensors } = await describeEncoderGguf(file);
  const windows = buildGraph(tensors, 'f32', 'rows').nodes.flatMap((n) => (n.op === 'attend_scores' ? [n.window] : []));
  expect(windows).toEqual([undefined, 3]);
});
