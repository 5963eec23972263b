import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import { createNaiveExecutor } from '../../src/exec/naive.ts';
import { createNaive64Executor } from '../../src/exec/naive64.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { buildModel, type RandomModel, randomModels } from '../support/random_model.ts';
import { reserveBatch } from '../support/scenario.ts';

/** What the naive executors refuse, before anything is computed or written. */

const spec = (fc.sample(randomModels, { numRuns: 1, seed: 2 }) as [RandomModel])[0].spec;
const model = buildModel({ ...spec, heads: [4, 2, 8], activations: 'f32' });
const executor = createNaiveExecutor(model.graph, model.weights);

describe('a cache of another kind is a ShapeError', () => {
  test('of another width', () => {
    const cache = createNaive64Executor(model.graph, model.weights).createCache(8);
    const batch = reserveBatch(cache, [cache.create()], [2], 2, () => 1);
    expect(() => executor.run(batch, cache)).toThrow(ShapeError);
    expect(() => executor.run(batch, cache)).toThrow(
      'kv cache: elementBytes is 8, this executor needs 4; make the cache with its createCache',
    );
  });

  test.each(['nLayers', 'nKvHeads', 'headDim'] as const)('of another %s', (size) => {
    const layout = { ...model.graph.kv, elementBytes: 4 as const };
    const cache = createContiguousCache({ ...layout, [size]: layout[size] + 1 }, 8, heapStorage(Float32Array));
    const batch = reserveBatch(cache, [cache.create()], [2], 2, () => 1);
    expect(() => executor.run(batch, cache)).toThrow(`kv cache: ${size} is ${layout[size] + 1}`);
  });
});

test('a sequence cannot have two segments of one batch', () => {
  const cache = executor.createCache(8);
  const sequence = cache.create();
  const { outRows } = reserveBatch(cache, [sequence], [2], 2, () => 1);
  const batch = {
    ids: Int32Array.of(0, 1),
    positions: Int32Array.of(1, 1),
    segments: [
      { sequence, from: 0, count: 1 },
      { sequence, from: 1, count: 1 },
    ],
    outRows,
  };
  expect(() => executor.run(batch, cache)).toThrow(
    `batch: sequence ${sequence.id} has two segments; join them into one`,
  );
});

test('weights are those of the graph', () => {
  const name = 'output_norm.weight';
  const weight = model.weights.get(name)!;
  const without = new Map([...model.weights].filter(([key]) => key !== name));
  expect(() => createNaiveExecutor(model.graph, without)).toThrow(/weight output_norm.weight was loaded/);
  const longer = new Map(model.weights).set(name, { ...weight, shape: [weight.shape[0]! + 1] });
  expect(() => createNaiveExecutor(model.graph, longer)).toThrow(/weight output_norm.weight is f32/);
  const other = new Map(model.weights).set(name, { ...weight, dtype: 'f16' });
  expect(() => createNaiveExecutor(model.graph, other)).toThrow(/not f16/);
});
