import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/index.node.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { ALIBI, alibiSlopes, alibiTensor } from '../../src/models/alibi.ts';
import { buildFalcon } from '../../src/models/falcon.ts';
import { falconConfigFromGguf, falconConfigFromHf } from '../../src/models/falcon_config.ts';
import { farthest } from '../../src/models/falcon_tensors.ts';
import { executorOfGraph, F32_TIERS, firstDifference, logitsInChunks } from '../support/executors.ts';
import { ROOT } from '../support/fixtures.ts';

const BESIDE = {
  name: 'x',
  type: 'f32',
  shape: [1],
  source: bufferSource('x', new Uint8Array(4)),
  offset: 0,
  nBytes: 4,
};

test('slopes of a power of two are one geometric row, those of other counts are those of the power below and some between', () => {
  expect(alibiSlopes(8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8].map((e) => 2 ** -e));
  expect(alibiSlopes(6)).toEqual([2, 4, 6, 8, 1, 3].map((e) => 2 ** -e));
  const of32 = alibiSlopes(32);
  // 32 heads: four to an octave, so that every fourth one is a power of two.
  expect(of32.filter((_, h) => h % 4 === 3)).toEqual(alibiSlopes(8));
  for (const [h, slope] of of32.entries()) expect(Math.fround(slope ** 4)).toBe(2 ** -(h + 1));
  expect(alibiSlopes(12).slice(0, 8)).toEqual(alibiSlopes(8));
  expect(alibiSlopes(12).slice(8)).toEqual(alibiSlopes(16).filter((_, h) => h % 2 === 0 && h < 8));
  expect(alibiSlopes(1)).toEqual([2 ** -8]);
});

test('numbers fall with the distance, and any part of them can be read', async () => {
  const info = alibiTensor(BESIDE, 2, 3, 0.5);
  expect(info).toMatchObject({ shape: [14], nBytes: 56, type: 'f32' });
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  const head = (slope: number) => [-3, -2, -1, 0, 0, 0, 0].map((d) => slope * d * 0.5 + 0);
  const values = [...new Float32Array(bytes.buffer)].map((x) => x + 0);
  expect(values).toEqual([...head(2 ** -4), ...head(2 ** -8)]);
  for (const [from, n] of [
    [1, 3],
    [5, 11],
    [55, 1],
    [0, 0],
  ] as const) {
    const part = new Uint8Array(n);
    await readTensorBytes(info, from, part);
    expect(part).toEqual(bytes.slice(from, from + n));
  }
});

test('a table for more positions than any model has is refused before it is made', () => {
  const sizes = { vocab_size: 11, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 4, parallel_attn: false };
  const read = (alibi: boolean) =>
    falconConfigFromHf({ ...sizes, model_type: 'falcon', alibi, max_position_embeddings: 2 ** 26 });
  expect(() => read(true)).toThrow(/maxContext with ALiBi is 67108864, must be an integer from 1 to 65536/);
  expect(() => read(true)).toThrow(ConfigError);
  expect(read(false).maxContext).toBe(2 ** 26);
});

test('naive and wasm have equal bits over random Falcons, in chunks and with two threads', async () => {
  const vocab = 260;
  const shapes = fc
    .record({
      nHeads: fc.integer({ min: 1, max: 7 }),
      halfHead: fc.integer({ min: 1, max: 9 }),
      nKvHeads: fc.constant(1),
      hiddenDim: fc.integer({ min: 1, max: 40 }),
      nLayers: fc.integer({ min: 1, max: 2 }),
      tied: fc.boolean(),
    })
    .map(({ halfHead, ...rest }) => ({ ...rest, dim: 2 * halfHead * rest.nHeads, vocab, maxContext: 24 }));
  const ids = fc.array(fc.nat(vocab - 1), { minLength: 1, maxLength: 24 });
  const chunks = fc.array(fc.integer({ min: 1, max: 9 }));
  await fc.assert(
    fc.asyncProperty(shapes, fc.nat(1000), ids, chunks, async (shape, seed, tokens, lengths) => {
      const parts = [...randomGguf({ architecture: 'falcon', shape, format: 'f32', seed }).chunks()].map((c) =>
        c.slice(),
      );
      const file = await openGguf(bufferSource('falcon.gguf', Buffer.concat(parts)));
      const config = { ...falconConfigFromGguf(file.metadata, file.tensors), places: 'alibi' as const };
      const numbers = alibiTensor(BESIDE, config.nHeads, farthest(config), 1 / Math.sqrt(config.headDim));
      const tensors = new Map([...file.tensors, [ALIBI, numbers]]);
      const graph = buildFalcon(config, tensors, 'f32');
      expect(graph.nodes.filter(({ op }) => op === 'position_bias').length).toBe(shape.nLayers);
      const naive = logitsInChunks(await executorOfGraph('naive', graph, tensors), tokens, []);
      for (const tier of F32_TIERS.slice(1)) {
        const executor = await executorOfGraph(tier, graph, tensors, undefined, 1 + (seed % 2));
        expect(firstDifference(logitsInChunks(executor, tokens, lengths), naive), tier).toBeUndefined();
        executor.dispose();
      }
    }),
    { numRuns: 4 },
  );
});

test('caches that drop rows are refused on every tier: a row that is kept would have another distance; those that round are not', async () => {
  const folder = join(ROOT, 'test/goldens/decoders/falcon_alibi');
  for (const executor of ['naive64', 'naive', 'wasm'] as const) {
    for (const [kv, name] of [
      [{ kind: 'lossy', window: 20 }, 'window'],
      [{ kind: 'evict', by: 'importance', budget: 32 }, 'kv-evict'],
    ] as const) {
      const load = loadModel(folder, { executor, kv });
      await expect(load).rejects.toThrow(UnsupportedError);
      await expect(load).rejects.toThrow(`${name} with a model whose scores have a bias of distances`);
    }
    await using model = await loadModel(folder, { executor, kv: { kind: 'paged', pageSize: 16 } });
    using session = model.createSession();
    expect((await session.append([1, 2])).data.length).toBe(model.info.vocab);
  }
});
