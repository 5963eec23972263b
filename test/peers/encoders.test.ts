import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { RANDOM_ENCODERS, type RandomEncoderName } from '../../src/load/random_architectures.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { pairEncoder, plainIds } from '../../src/text/pairs.ts';
import { distanceOf, spreadOf } from '../support/architecture_cases.ts';
import { EXACT_SHARE, mostShareOf } from '../support/architecture_goldens.ts';
import { encoderFile, type RandomEncoderCase, randomEmbedder, randomReranker } from '../support/encoder_cases.ts';

/**
 * Encoders beside llama.cpp, as test/peers/architectures.test.ts has decoders: random files, no flash attention, f32. Its vectors
 * are means of rows that no one normalizes; its score of a pair is that of ids that we give it.
 */

/** What is used of node-llama-cpp, some of it internal: texts would be tokenized by rules of its own. */
interface LlamaModel {
  createEmbeddingContext(
    o: object,
  ): Promise<{ getEmbeddingFor(ids: number[]): Promise<{ readonly vector: number[] }> }>;
  tokenize(text: string, specialTokens: boolean, options: 'trimLeadingSpace' | undefined): readonly number[];
  createRankingContext(o: object): Promise<{ _evaluateRankingForInput(ids: number[]): Promise<number> }>;
  dispose(): Promise<void>;
}
interface NodeLlamaCpp {
  getLlama(o: object): Promise<{ loadModel(o: object): Promise<LlamaModel>; dispose(): Promise<void> }>;
}

const SHAPES = {
  odd: { dim: 72, nHeads: 6, nKvHeads: 6, hiddenDim: 100, maxContext: 64 },
  'whole blocks': { dim: 128, nHeads: 4, nKvHeads: 4, hiddenDim: 192, maxContext: 64 },
  'one head': { nLayers: 3, dim: 32, nHeads: 1, nKvHeads: 1, hiddenDim: 64, maxContext: 64 },
} as const;
const TEXTS = ['a', 'The quick brown fox', 'x'.repeat(55), 'b c d e f g h'];
/** Quantized rows are whole blocks. */
const formatsOf = (shape: keyof typeof SHAPES): readonly DType[] =>
  shape === 'whole blocks' ? ['f32', 'f16', 'q8_0'] : ['f32', 'f16'];
const ARCHITECTURES = (Object.keys(RANDOM_ENCODERS) as RandomEncoderName[]).filter((name) => name !== 't5encoder');
const CASES = ARCHITECTURES.flatMap((architecture) =>
  (Object.keys(SHAPES) as (keyof typeof SHAPES)[]).flatMap((shape) =>
    formatsOf(shape).map((format) => ({ architecture, shape, format })),
  ),
);

let llama: Awaited<ReturnType<NodeLlamaCpp['getLlama']>>;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'glassformer-encoders-'));
  const require = createRequire(fileURLToPath(new URL('package.json', import.meta.url)));
  const { getLlama } = (await import(pathToFileURL(require.resolve('node-llama-cpp')).href)) as NodeLlamaCpp;
  llama = await getLlama({ gpu: false, build: 'never', skipDownload: true, logLevel: 'error', maxThreads: 1 });
});
afterAll(async () => {
  await llama.dispose();
  rmSync(folder, { recursive: true, force: true });
});

const SIZE = { contextSize: 64, batchSize: 64, threads: 1 };

async function witness(one: RandomEncoderCase): Promise<LlamaModel> {
  const modelPath = join(folder, `${one.architecture}.gguf`);
  writeFileSync(modelPath, encoderFile(one));
  return llama.loadModel({ modelPath, defaultContextFlashAttention: false });
}

test('there are cases of every encoder', () => expect(CASES.length).toBeGreaterThanOrEqual(12));

describe('vectors', () => {
  test.each(CASES)('$architecture, $shape, $format', async ({ architecture, shape, format }) => {
    const one: RandomEncoderCase = { architecture, shape: SHAPES[shape], format, seed: 11 };
    const unpacked: RandomEncoderCase = { ...one, isUnpacked: true };
    await using exact = await randomEmbedder(unpacked, { executor: 'naive64' });
    await using ours = await randomEmbedder(one, { activations: 'f32' });
    const truth = await exact.embed(TEXTS, { normalize: false });
    const model = await witness(unpacked);
    const context = await model.createEmbeddingContext(SIZE);
    const theirs: number[][] = [];
    if (architecture === 'xlm-roberta') {
      for (const text of TEXTS) {
        expect(Array.from(model.tokenize(text, false, undefined))).toEqual(plainIds(exact.tokenizer, text));
      }
    }
    for (const text of TEXTS) theirs.push((await context.getEmbeddingFor(exact.tokenizer.encode(text))).vector);
    await model.dispose();
    const spread = spreadOf(truth);
    expect(spread).toBeGreaterThan(0);
    expect(distanceOf(theirs, truth) / spread, 'llama.cpp computes this model').toBeLessThanOrEqual(
      mostShareOf(architecture),
    );
    expect(distanceOf(await ours.embed(TEXTS, { normalize: false }), truth) / spread).toBeLessThanOrEqual(EXACT_SHARE);
    await using wide = await randomEmbedder(one, { activations: 'f32', sums: 'f64' });
    const oursWide = distanceOf(await wide.embed(TEXTS, { normalize: false }), truth);
    expect(oursWide, 'sums in f64 are no further than llama.cpp').toBeLessThanOrEqual(distanceOf(theirs, truth));
  });
});

/**
 * Through this binding llama.cpp hides from a T5's row what follows it, which an encoder does not; and it gives the last row. Run so, the
 * graphs are the same. With all rows seen, PyTorch is the witness (test/models/t5.test.ts).
 */
test.each(Object.keys(SHAPES) as (keyof typeof SHAPES)[])('the last row of a causal t5encoder, %s', async (shape) => {
  for (const tied of [true, false]) {
    const one: RandomEncoderCase = { architecture: 't5encoder', shape: { ...SHAPES[shape], tied }, seed: 13 };
    await using exact = await randomEmbedder(one, { executor: 'naive64' });
    const { executor, tokenizer } = exact;
    const model = await witness(one);
    const context = await model.createEmbeddingContext(SIZE);
    const [theirs, truth]: [number[][], number[][]] = [[], []];
    for (const text of TEXTS) {
      const ids = Int32Array.from(tokenizer.encode(text));
      theirs.push((await context.getEmbeddingFor([...ids])).vector);
      const cache = executor.createCache(64);
      const sequence = cache.create();
      cache.reserve(sequence, ids.length);
      const segments = [{ sequence, from: 0, count: ids.length }];
      const positions = ids.map((_, t) => t);
      truth.push([...executor.run({ ids, positions, segments, outRows: Int32Array.of(ids.length - 1) }, cache).data]);
    }
    await model.dispose();
    expect(distanceOf(theirs, truth) / spreadOf(truth), `tied ${tied}`).toBeLessThanOrEqual(
      tied ? EXACT_SHARE : mostShareOf('bert'),
    );
  }
});

test.each(['bert', 'xlm-roberta'] as const)('scores of a %s with a head', async (architecture) => {
  const one: RandomEncoderCase = { architecture, shape: { ...SHAPES.odd, tied: false }, seed: 12 };
  await using exact = await randomReranker(one, { executor: 'naive64' });
  const documents = TEXTS.map((text) => text.slice(0, 40));
  const truth = (await exact.rank('fox?', documents)).sort((a, b) => a.index - b.index).map(({ score }) => [score]);
  const vocabulary = ggufVocab((await openModelFile(bufferSource('bert.gguf', encoderFile(one)))).metadata);
  const pair = pairEncoder(vocabulary, exact.tokenizer);
  const model = await witness(one);
  const context = await model.createRankingContext(SIZE);
  const theirs: number[][] = [];
  for (const document of documents) {
    const { ids } = pair(plainIds(exact.tokenizer, 'fox?'), plainIds(exact.tokenizer, document));
    // What it gives is 1 / (1 + e^-score).
    const p = await context._evaluateRankingForInput([...ids]);
    theirs.push([Math.log(p / (1 - p))]);
  }
  await model.dispose();
  expect(distanceOf(theirs, truth) / spreadOf(truth)).toBeLessThanOrEqual(mostShareOf('bert'));
});
