import { expect } from 'vitest';
import type { KernelBuild } from '../../src/core/host.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { storedAs } from '../../src/exec/wasm/stored_as.ts';
import { optimize } from '../../src/graph/passes/index.ts';
import { FORMS, type Form, isSmall } from './equal_bits.ts';
import { batchOf, executorOf, firstDifference, logitsInChunks } from './executors.ts';
import { type TinyLlama, tinyLlama } from './tiny_llama.ts';

/** All panels of linear kernels are full, several to a share; the last chunk's tokens are no whole tile. */
export const CONFIG = {
  nHeads: 6,
  nKvHeads: 3,
  headDim: 32,
  dim: 192,
  hiddenDim: 320,
  vocab: 301,
  nLayers: 2,
  maxContext: 96,
};
/** The same with rows of whole super-blocks. */
const WIDE = { ...CONFIG, nHeads: 8, nKvHeads: 4, dim: 256, hiddenDim: 512 };
/** Formats without kernels of their own lie in memory as f32, all in one way: two stand for them. */
export const SPLIT_FORMS = FORMS.filter(
  ([dtype]) => storedAs(dtype) === dtype || dtype === 'q8_1' || dtype === 'tq2_0',
);
export const IDS = Array.from({ length: 61 }, (_, i) => (i * i * 7 + 3 * i) % CONFIG.vocab);
const CHUNKS: readonly (readonly number[])[] = [[], [1, 1, 30, 2, 20], [16, 16, 17]];

/** Builds and forms of activations share a model of a format: packing it takes as long as its runs. */
const models = new Map<string, TinyLlama>();
function modelOf([dtype, form]: Form, nLayers: number): TinyLlama {
  const key = `${dtype} ${nLayers}`;
  const config = { ...(isSmall([dtype, form]) ? CONFIG : WIDE), nLayers };
  const model = models.get(key) ?? tinyLlama({ seed: 11, dtype, config });
  models.set(key, model);
  return model;
}

/** Executors of `counts` threads give the same bits, in any chunks and for several sequences in one run. */
export async function expectSameBits(
  build: KernelBuild,
  form: Form,
  counts: readonly number[],
  nLayers: number,
): Promise<void> {
  const tiny = modelOf(form, nLayers);
  const executors: Executor[] = [];
  for (const n of counts) executors.push(await executorOf(`wasm ${build}`, tiny, form[1], optimize, n));
  expect(executors.map((e) => e.threads)).toEqual(counts);
  for (const chunks of CHUNKS) {
    const [one, ...others] = executors.map((e) => logitsInChunks(e, IDS, chunks));
    for (const other of others) expect(firstDifference(other, one!)).toBeUndefined();
  }
  // Several sequences in one run, of one token and of many.
  const [one, ...others] = executors.map((executor) => {
    const cache = executor.createCache(96);
    const parts = [IDS.slice(0, 25), IDS.slice(3, 4), IDS.slice(10, 50)].map((ids) => ({
      sequence: cache.create(),
      ids,
    }));
    const first = executor.run(batchOf(cache, parts), cache).data;
    const next = parts.map((p) => ({ ...p, ids: [5] }));
    return [...first, ...executor.run(batchOf(cache, next), cache).data];
  });
  for (const other of others) expect(firstDifference(other, one!)).toBeUndefined();
  for (const executor of executors) executor.dispose();
}
