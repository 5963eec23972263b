import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DType } from '../../src/core/dtype.ts';
import { ConfigError, ShapeError, UnsupportedError } from '../../src/core/errors.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { createWasmExecutor } from '../../src/exec/wasm/executor.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { verify } from '../../src/graph/verify.ts';
import { buildVit, vitTensors } from '../../src/models/vit.ts';
import { type VitConfig, vitConfigFromHf } from '../../src/models/vit_config.ts';
import { BUILDS, firstDifference, HOST, TIERS, type TierName } from '../support/executors.ts';
import { describeWithFixture, fixture, ROOT } from '../support/fixtures.ts';
import { picturesBatch, TINY_VIT, type TinyVit, tinyVit } from '../support/tiny_vit.ts';
import { expectGolden } from '../support/vit_golden.ts';

const graphOf = ({ config, tensors }: TinyVit) => buildVit(config, vitTensors(config, tensors), 'f32');

async function executorOf(tier: TierName, vit: TinyVit, nThreads = 1): Promise<Executor> {
  const graph = graphOf(vit);
  const tensors = vitTensors(vit.config, vit.tensors);
  if (tier === 'naive') return createNaiveExecutor(graph, await loadWeights(graph, tensors));
  if (tier === 'naive64') return createNaive64Executor(graph, await loadWeights(graph, tensors));
  const kernels = tier === 'wasm simd' ? 'simd' : 'relaxed';
  const optimized = optimize(graph);
  verify(optimized);
  const threads = { nThreads, shareNs: 1 };
  return createWasmExecutor({ graph: optimized, tensors, host: HOST, kernels, threads });
}

/** Logits of pictures that run together. */
function logitsOf(executor: Executor, vit: TinyVit, seeds: readonly number[]): number[] {
  const cache = executor.createCache(16 * seeds.length, { kind: 'contiguous' });
  const batch = picturesBatch(cache, vit, seeds, executor.tier === 'naive64');
  return [...executor.run(batch, cache).data];
}

describe('embedded', () => {
  // The naive tiers take half a second for a picture: vit.long.test.ts has them all.
  test.each([
    ['naive64', 1],
    ['naive', 1],
    ['wasm', 5],
  ] as const)('%s has the golden logits of %i pictures', (executor, most) =>
    expectGolden(join(ROOT, 'src/embedded/vit'), 5, executor, most),
  );
});

describeWithFixture('vit-cifar10', 'the same weights in f32', () => {
  test('wasm has the golden logits of every picture', () => expectGolden(fixture('vit-cifar10'), 17, 'wasm'));
});

describe('equal bits', () => {
  const shapes = fc.record({
    seed: fc.nat(1000),
    dtype: fc.constantFrom<DType>('f32', 'f16', 'bf16'),
    prefix: fc.constantFrom('vit', 'deit'),
    hasQkvBias: fc.boolean(),
    nHeads: fc.integer({ min: 1, max: 4 }),
    headDim: fc.integer({ min: 1, max: 9 }),
    hiddenDim: fc.integer({ min: 1, max: 33 }),
    patchSize: fc.constantFrom(1, 2, 3, 4),
    nLabels: fc.integer({ min: 1, max: 7 }),
  });

  test('naive and wasm, over random configs', async () => {
    await fc.assert(
      fc.asyncProperty(shapes, async ({ seed, dtype, nHeads, headDim, nLabels, ...rest }) => {
        const vit = tinyVit(seed, dtype, {
          ...rest,
          nHeads,
          headDim,
          dim: nHeads * headDim,
          imageSize: rest.patchSize * 3,
          nSpecial: rest.prefix === 'deit' ? 2 : 1,
          nLayers: 1,
          labels: TINY_VIT.labels.slice(0, nLabels),
        });
        const naive = logitsOf(await executorOf('naive', vit), vit, [seed]);
        expect(naive.length).toBe(nLabels);
        for (const build of BUILDS) {
          const wasm = await executorOf(`wasm ${build}`, vit);
          expect(firstDifference(logitsOf(wasm, vit, [seed]), naive)).toBeUndefined();
          wasm.dispose();
        }
      }),
      { numRuns: 12 },
    );
  });

  test.each(TIERS)('%s: pictures together have the bits of each one alone', async (tier) => {
    const vit = tinyVit(3);
    const executor = await executorOf(tier, vit);
    const alone = [5, 6, 7].flatMap((seed) => logitsOf(executor, vit, [seed]));
    expect(firstDifference(logitsOf(executor, vit, [5, 6, 7]), alone)).toBeUndefined();
    expect(new Set(alone).size).toBeGreaterThan(2 * TINY_VIT.labels.length);
    executor.dispose();
  });

  test('two threads have the bits of one', async () => {
    const vit = tinyVit(3);
    const one = await executorOf('wasm simd', vit);
    const two = await executorOf('wasm simd', vit, 2);
    expect(two.threads).toBe(2);
    expect(firstDifference(logitsOf(two, vit, [8, 9]), logitsOf(one, vit, [8, 9]))).toBeUndefined();
    one.dispose();
    two.dispose();
  });
});

test('every value of a run lies within its bound of float64 on the same inputs', async () => {
  const vit = tinyVit(11);
  for (const tier of ['naive', 'wasm simd'] as const) {
    const executor = await executorOf(tier, vit);
    const weights = await loadWeights(graphOf(vit), vitTensors(vit.config, vit.tensors));
    const cache = executor.createCache(32);
    const { ops, firstOutside } = boundedRun(executor, weights, picturesBatch(cache, vit, [1, 2]), cache);
    expect(firstOutside).toBeUndefined();
    expect(ops.map(({ op }) => op)).toEqual(expect.arrayContaining(['layer_norm', 'gelu', 'add_bias', 'embed']));
    for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
    executor.dispose();
  }
});

test('every row sees every row: the last patch moves the class token', async () => {
  const vit = tinyVit(4);
  const executor = await executorOf('naive', vit);
  const cache = executor.createCache(16);
  const batch = picturesBatch(cache, vit, [1]);
  const before = [...executor.run(batch, cache).data];
  cache.release(batch.segments[0]!.sequence);
  const again = picturesBatch(cache, vit, [1]);
  again.patches![again.patches!.length - 1]! += 1;
  expect(firstDifference(executor.run(again, cache).data, before)).toBeDefined();
  cache.release(again.segments[0]!.sequence);
  const causal = { ...picturesBatch(cache, vit, [1]), isBidirectional: false };
  expect(firstDifference(executor.run(causal, cache).data, before)).toBeDefined();
});

test.each(TIERS)('%s: a batch that does not fit is refused', async (tier) => {
  const vit = tinyVit(4);
  const executor = await executorOf(tier, vit);
  const cache = executor.createCache(64);
  const batch = picturesBatch(cache, vit, [1]);
  expect(() => executor.run({ ...batch, patches: undefined }, cache)).toThrow(/has no numbers of patches/);
  expect(() => executor.run({ ...batch, patches: batch.patches!.slice(1) }, cache)).toThrow(ShapeError);
  const wrongKind = batch.ids.slice().fill(2);
  expect(() => executor.run({ ...batch, ids: wrongKind }, cache)).toThrow(ShapeError);
  // Half of a picture behind the other half.
  const { sequence } = batch.segments[0]!;
  cache.reserve(sequence, batch.ids.length);
  const second = { ...batch, positions: batch.positions.map((p) => p + batch.ids.length) };
  expect(() => executor.run(second, cache)).toThrow(/must be all of it/);
  executor.dispose();
});

const EMBEDDED = JSON.parse(readFileSync(join(ROOT, 'src/embedded/vit/config.json'), 'utf8')) as Record<
  string,
  unknown
>;

test('config.json of the embedded model', () => {
  expect(vitConfigFromHf(EMBEDDED as never)).toMatchObject({
    dim: 128,
    nLayers: 6,
    headDim: 32,
    patchSize: 4,
    nSpecial: 1,
  });
  expect(vitConfigFromHf(EMBEDDED as never).labels[5]).toBe('dog');
  const twins = { ...EMBEDDED, id2label: { 0: 'crane', 1: 'cat', 2: 'crane' }, problem_type: null };
  expect(vitConfigFromHf(twins as never).labels).toEqual(['crane (0)', 'cat', 'crane (2)']);
});

test.each([
  ['another kind of model', { model_type: 'swin' }, UnsupportedError, /model_type is "swin"/],
  ['a model without a classifier', { architectures: ['ViTModel'] }, UnsupportedError, /architecture is "ViTModel"/],
  ['another activation', { hidden_act: 'gelu_new' }, UnsupportedError, /hidden_act is "gelu_new"/],
  ['grey pictures', { num_channels: 1 }, UnsupportedError, /num_channels is 1/],
  ['heads that do not divide', { num_attention_heads: 3 }, ConfigError, /hidden_size 128 is not a multiple of 3/],
  ['patches that do not fill', { patch_size: 5 }, ConfigError, /image_size 32 is not whole patches of 5/],
  ['no size', { hidden_size: undefined }, ConfigError, /hidden_size is undefined/],
  ['a size beyond all models', { num_hidden_layers: 1e9 }, ConfigError, /num_hidden_layers is 1000000000/],
  ['no labels', { id2label: undefined }, ConfigError, /has no id2label/],
  ['a label without a name', { id2label: { 0: 'cat', 1: '' } }, ConfigError, /label 1 of 2/],
  ['labels that do not compete', { problem_type: 'multi_label_classification' }, UnsupportedError, /problem_type is/],
  ['a label with a gap', { id2label: { 0: 'cat', 2: 'dog' } }, ConfigError, /label 1 of 2 in id2label is undefined/],
  ['no eps', { layer_norm_eps: null }, ConfigError, /layer_norm_eps is null/],
] as const)('config.json of %s is refused', (_title, change, kind, message) => {
  const read = () => vitConfigFromHf({ ...EMBEDDED, ...change } as never);
  expect(read).toThrow(kind);
  expect(read).toThrow(message);
});

describe('tensors', () => {
  const build = (change: (tensors: Map<string, unknown>) => void, config: Partial<VitConfig> = {}) => {
    const vit = tinyVit(1);
    const tensors = new Map(vit.tensors);
    change(tensors);
    return () => graphOf({ config: { ...vit.config, ...config }, tensors });
  };
  const CLS = 'vit.embeddings.cls_token';

  test('one that is missing is named', () => {
    expect(build((t) => t.delete(CLS))).toThrow(/tensor vit.embeddings.cls_token \[1, 24\] is missing/);
    expect(build((t) => t.delete('classifier.bias'))).toThrow(/tensor classifier.bias/);
  });

  test('one too many is named', () => {
    expect(build((t) => t.set('vit.pooler.dense.weight', t.get('classifier.weight')))).toThrow(
      /vit.pooler.dense.weight/,
    );
    expect(build(() => {}, { hasQkvBias: false })).toThrow(/attention.query.bias has no place/);
  });

  test('another shape is named', () => {
    expect(build(() => {}, { patchSize: 2 })).toThrow(/projection.weight is \[24, 3, 4, 4\]/);
    expect(build((t) => t.set(CLS, t.get('vit.layernorm.bias')))).toThrow(/cls_token is \[24\]/);
  });

  test('rows of one table in two formats are refused', () => {
    const other = tinyVit(1, 'f16').tensors;
    expect(build((t) => t.set(CLS, other.get(CLS)))).toThrow(UnsupportedError);
  });
});
