import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { encodedText, labelTexts, nextRun, textBatch } from '../../src/engine/clip_texts.ts';
import type { ClassifierOptions } from '../../src/engine/image_classifier.ts';
import { encoderBatch, patchRows } from '../../src/engine/picture_rows.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { Batch, Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { buildClipText, buildClipVision, clipTensors } from '../../src/models/clip.ts';
import { type ClipConfig, clipConfigFromHf } from '../../src/models/clip_config.ts';
import { nRowsOf } from '../../src/models/vit_config.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { parsePreprocessor } from '../../src/vision/preprocessor.ts';
import {
  CLIP_GOLDEN,
  type ClipCase,
  type ConfigFields,
  clipFiles,
  goldenPicture,
  loadClipFiles,
  withFields,
} from '../support/clip_golden.ts';
import { BUILDS, firstDifference } from '../support/executors.ts';

/** Both compute in float64: the sums' orders differ. */
const GOLDEN_DISTANCE = 1e-9;

const json = (bytes: Uint8Array) => JSON.parse(new TextDecoder().decode(bytes));

function configOf(name: string): ClipConfig {
  return clipConfigFromHf(json(clipFiles(name)['config.json']!));
}

async function tensorsOf(name: string): Promise<Map<string, TensorInfo>> {
  const file = await openSafetensors(bufferSource('model', clipFiles(name)['model.safetensors']!));
  return new Map(file.tensors);
}

/** One picture, or some texts, as the runs of an executor. Reserves the rows. */
function pictureBatch(cache: KvCache, name: string, seed: number, tier: Executor['tier']): Batch {
  const config = configOf(name);
  const preprocessor = parsePreprocessor(
    json(clipFiles(name)['preprocessor_config.json']!),
    'preprocessor_config.json',
  );
  const sequence = cache.create();
  cache.reserve(sequence, nRowsOf(config.vision));
  return encoderBatch(sequence, patchRows(goldenPicture(seed), preprocessor, config.vision, tier), config.vision);
}

const TOKENIZER = createTokenizer({ tokenizerJson: json(clipFiles('gelu')['tokenizer.json']!) });

function textsBatch(cache: KvCache, name: string, texts: readonly string[]): Batch {
  const { text } = configOf(name);
  return textBatch(
    cache,
    texts.map((words) => encodedText(words, TOKENIZER, text)),
  );
}

function expectNear(got: ArrayLike<number>, wanted: readonly number[], what: string): void {
  expect(got.length, what).toBe(wanted.length);
  for (let i = 0; i < wanted.length; i++) {
    expect(Math.abs(got[i]! - wanted[i]!), `${what}, ${i}`).toBeLessThanOrEqual(GOLDEN_DISTANCE);
  }
}

describe.each(CLIP_GOLDEN.cases)('golden: $name', (golden: ClipCase) => {
  const labels = golden.texts.map(({ text }) => text);

  test('naive64 has every vector and probability', async () => {
    await using clip = await loadClipFiles(clipFiles(golden.name), { executor: 'naive64' });
    const vectors = clip.textVectors(labels);
    for (const [i, { text, vector }] of golden.texts.entries()) expectNear(vectors[i]!, vector, text);
    for (const { seed, vector, logits, probs } of golden.pictures) {
      const image = await clip.imageVector(goldenPicture(seed));
      expectNear(image, vector, `picture ${seed}`);
      const got = vectors.map((v) => clip.scale * [...v].reduce((sum, x, i) => sum + x * image[i]!, 0));
      expectNear(got, logits, `logits ${seed}`);
      const answer = await clip.classify(goldenPicture(seed), { labels, template: '{}' });
      const byLabel = new Map(answer.probs.map(({ label, prob }) => [label, prob]));
      expectNear(
        labels.map((label) => byLabel.get(label)!),
        probs,
        `probs ${seed}`,
      );
      expect(answer.probs[0]!.prob).toBe(Math.max(...byLabel.values()));
    }
  });

  test('naive and wasm have the same bits', async () => {
    const load = async (options: ClassifierOptions): Promise<number[]> => {
      await using clip = await loadClipFiles(clipFiles(golden.name), options);
      const vectors = [...clip.textVectors(labels)];
      for (const { seed } of golden.pictures) vectors.push(await clip.imageVector(goldenPicture(seed)));
      return vectors.flatMap((v) => [...v]);
    };
    const naive = await load({ executor: 'naive' });
    for (const kernels of BUILDS) expect(firstDifference(await load({ kernels }), naive), kernels).toBeUndefined();
  });
});

test('every stored value on the way', async () => {
  const [{ name, first, texts, pictures }] = CLIP_GOLDEN.cases as [ClipCase];
  await using clip = await loadClipFiles(clipFiles(name), { executor: 'naive64' });
  const seenOf = (executor: Executor, batchOf: (cache: KvCache) => Batch): Map<string, Float64Array> => {
    const seen = new Map<string, Float64Array>();
    const cache = executor.createCache(40);
    executor.run(batchOf(cache), cache, (event) => seen.set(event.name, Float64Array.from(event.data)));
    return seen;
  };
  const text = seenOf(clip.text, (cache) => textsBatch(cache, name, [texts[0]!.text]));
  const picture = seenOf(clip.vision, (cache) => pictureBatch(cache, name, pictures[0]!.seed, 'naive64'));
  expect(Object.keys(first!.picture)).toEqual([
    'embedding',
    'pre_norm',
    'blk.0.residual',
    'blk.1.residual',
    'norm',
    'vectors',
  ]);
  expect(Object.keys(first!.text)).toEqual(['embedding', 'blk.0.residual', 'blk.1.residual', 'norm', 'vectors']);
  for (const [key, values] of Object.entries(first!.text)) expectNear(text.get(key)!, values, `text ${key}`);
  for (const [key, values] of Object.entries(first!.picture)) expectNear(picture.get(key)!, values, `picture ${key}`);
});

test.each(CLIP_GOLDEN.cases)('$name: every value of a run lies within its bound of float64', async ({ name }) => {
  const config = configOf(name);
  const { text, vision } = clipTensors(config, await tensorsOf(name));
  for (const options of [{ executor: 'naive' }, { executor: 'wasm' }] as const) {
    await using clip = await loadClipFiles(clipFiles(name), options);
    const check = async (
      executor: Executor,
      tensors: typeof text,
      graph: Executor['graph'],
      batch: (c: KvCache) => Batch,
    ) => {
      const cache = executor.createCache(40);
      const report = boundedRun(executor, await loadWeights(graph, tensors), batch(cache), cache);
      expect(report.firstOutside).toBeUndefined();
      for (const { op, worstRatio } of report.ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
      expect(report.ops.map(({ op }) => op)).toContain(name);
    };
    await check(clip.text, text, buildClipText(config, text, 'f32'), (c) => textsBatch(c, name, ['the sea', 'a cat']));
    await check(clip.vision, vision, buildClipVision(config, vision, 'f32'), (c) => pictureBatch(c, name, 7, 'naive'));
  }
});

describe('texts', () => {
  test('together have the bits of each one alone, in one run or several', async () => {
    const texts = Array.from({ length: 40 }, (_, i) => `a photo of ${'the sea and '.repeat(i % 4)}${i} birds`);
    await using clip = await loadClipFiles(clipFiles('quick_gelu'));
    const { text } = configOf('quick_gelu');
    const encoded = texts.map((words) => encodedText(words, TOKENIZER, text));
    expect(nextRun(encoded, 0).length).toBeGreaterThan(3);
    expect(nextRun(encoded, 0).length).toBeLessThan(encoded.length);
    const together = clip.textVectors(texts).flatMap((v) => [...v]);
    const alone = texts.flatMap((words) => [...clip.textVectors([words])[0]!]);
    expect(firstDifference(together, alone)).toBeUndefined();
    expect(new Set(alone).size).toBeGreaterThan(300);
  });

  test('what stands behind the end token changes nothing, what stands before it does', async () => {
    await using clip = await loadClipFiles(clipFiles('quick_gelu'), { executor: 'naive' });
    const { text } = configOf('quick_gelu');
    const vectorOf = (ids: readonly number[], endRow: number): number[] => {
      const cache = clip.text.createCache(40);
      return [...clip.text.run(textBatch(cache, [{ ids, endRow }]), cache).data];
    };
    const { ids, endRow } = encodedText('the sea', TOKENIZER, text);
    expect(endRow).toBe(ids.length - 1);
    expect(vectorOf([...ids, 1, 2, 3], endRow)).toEqual(vectorOf(ids, endRow));
    expect(vectorOf([ids[0]!, 7, ...ids.slice(2)], endRow)).not.toEqual(vectorOf(ids, endRow));
  });

  test('the row is that of the first end token; an old file means the largest id', () => {
    const { text } = configOf('quick_gelu');
    expect(text.endId).toBe('largest');
    const end = TOKENIZER.encode('').at(-1)!;
    expect(configOf('gelu').text.endId).toBe(end);
    const tokenizer = { ...TOKENIZER, encode: () => [5, end, 3, end] };
    expect(encodedText('x', tokenizer, text).endRow).toBe(1);
    expect(encodedText('x', tokenizer, { ...text, endId: 3 }).endRow).toBe(2);
    expect(() => encodedText('x', tokenizer, { ...text, endId: 4 })).toThrow(/has no token 4 \(eos_token_id/);
  });

  test('labels and templates', () => {
    expect(labelTexts(['cat', 'a dog', 'The sea', 'another one'])).toEqual([
      'a photo of a cat',
      'a photo of a dog',
      'a photo of The sea',
      'a photo of a another one',
    ]);
    expect(labelTexts(['cat', '$&'], 'art of {}!')).toEqual(['art of cat!', 'art of $&!']);
    for (const template of ['', 'x', '{} {}']) expect(() => labelTexts(['cat'], template)).toThrow(/expected one \{\}/);
    expect(() => labelTexts([])).toThrow(/labels is empty/);
    expect(() => labelTexts(['a', ' '])).toThrow(/label 2 of 2 is empty/);
    expect(() => labelTexts(['a', 'b', 'a'])).toThrow(/"a" is there twice/);
  });

  test('one that is too long is refused, not cut', async () => {
    await using clip = await loadClipFiles(clipFiles('gelu'));
    expect(() => clip.textVectors(['a '.repeat(38)])).not.toThrow();
    expect(() => clip.textVectors(['a '.repeat(39)])).toThrow(/has 41 tokens, the model takes 40/);
  });
});

describe('what cannot be run is refused by name', () => {
  const CONFIGS: [what: string, change: (fields: ConfigFields) => void, message: RegExp][] = [
    ['a siglip', (c) => (c['model_type'] = 'siglip'), /model_type is "siglip"/],
    ['one tower', (c) => (c['architectures'] = ['CLIPTextModel']), /architecture is "CLIPTextModel"/],
    ['no architecture', (c) => delete c['architectures'], /architecture is undefined/],
    ['another activation', (c) => (c['vision_config'].hidden_act = 'relu'), /hidden_act of vision_config is "relu"/],
    ['grey pictures', (c) => (c['vision_config'].num_channels = 1), /num_channels of vision_config is 1/],
    [
      'odd heads',
      (c) => (c['text_config'].num_attention_heads = 3),
      /hidden_size 16 of text_config is not a multiple of 3/,
    ],
    ['cut patches', (c) => (c['vision_config'].patch_size = 5), /image_size 12 is not whole patches of 5/],
    ['a size in words', (c) => (c['text_config'].vocab_size = 'many'), /vocab_size of text_config is "many"/],
    ['an endless norm', (c) => (c['text_config'].layer_norm_eps = 1), /layer_norm_eps of text_config is 1/],
    ['no end token', (c) => (c['text_config'].eos_token_id = 9999), /eos_token_id of text_config is 9999/],
    ['a list for a tower', (c) => (c['text_config'] = [] as never), /text_config is \[\], expected an object/],
    ['more layers', (c) => (c['text_config'].num_hidden_layers = 3), /text_model.encoder.layers.2.* is missing/],
    ['fewer layers', (c) => (c['vision_config'].num_hidden_layers = 1), /vision_model.encoder.layers.1.* has no place/],
    [
      'another size',
      (c) => (c['projection_dim'] = 11),
      /visual_projection.weight is \[10, 24\], the config asks for \[11, 24\]/,
    ],
    ['smaller patches', (c) => (c['vision_config'].patch_size = 2), /patch_embedding.weight is \[24, 3, 4, 4\]/],
    ['fewer tokens', (c) => (c['text_config'].vocab_size = 500), /tokenizer.json has 574 tokens/],
  ];
  test.each(CONFIGS)('%s', async (_, change, message) => {
    const files = clipFiles('quick_gelu');
    files['config.json'] = withFields(files['config.json']!, change);
    await expect(loadClipFiles(files)).rejects.toThrow(message);
  });

  test('a folder without a tokenizer, or without a way for pictures', async () => {
    for (const [file, message] of [
      ['tokenizer.json', /has no tokenizer.json/],
      ['preprocessor_config.json', /has no preprocessor_config.json/],
    ] as const) {
      const { [file]: _, ...files } = clipFiles('quick_gelu');
      await expect(loadClipFiles(files)).rejects.toThrow(message);
    }
  });

  const parted = (tensors: Map<string, TensorInfo>) => () => {
    const config = configOf('quick_gelu');
    const { text, vision } = clipTensors(config, tensors);
    buildClipText(config, text, 'f32');
    buildClipVision(config, vision, 'f32');
  };
  test('any tensor that is missing, and one too many', async () => {
    const all = await tensorsOf('quick_gelu');
    expect(parted(all)).not.toThrow();
    expect(all.size).toBe(78);
    for (const name of all.keys()) {
      expect(parted(new Map([...all].filter(([other]) => other !== name)))).toThrow(`tensor ${name}`);
    }
    const some = all.get('logit_scale')!;
    for (const name of ['text_model.encoder.bias', 'vision_model.x', 'classifier.weight', 'logit_bias']) {
      expect(parted(new Map(all).set(name, some))).toThrow(new RegExp(`tensor ${name} has no place`));
    }
    // Lists of 0, 1, 2, ... of old files.
    expect(parted(new Map(all).set('text_model.embeddings.position_ids', some))).not.toThrow();
    expect(parted(new Map(all).set('logit_scale', all.get('vision_model.embeddings.class_embedding')!))).toThrow(
      /logit_scale is \[24\], expected one number/,
    );
  });
});

test('the defaults of a silent file are those of the class', () => {
  const { text, vision, vectorDim } = clipConfigFromHf({ model_type: 'clip', architectures: ['CLIPModel'] });
  const common = { nLayers: 12, headDim: 64, normEps: 1e-5, activation: 'quick_gelu' };
  expect(text).toEqual({ ...common, dim: 512, hiddenDim: 2048, nHeads: 8, vocab: 49408, maxContext: 77, endId: 49407 });
  expect(vision).toEqual({
    ...common,
    dim: 768,
    hiddenDim: 3072,
    nHeads: 12,
    imageSize: 224,
    patchSize: 32,
    nSpecial: 1,
  });
  expect(vectorDim).toBe(512);
});
