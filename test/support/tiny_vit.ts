import { type DType, rowBytes } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { Batch } from '../../src/exec/executor.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { nRowsOf, type VitConfig } from '../../src/models/vit_config.ts';
import { fillWeights, randomNumbers } from './tiny_llama.ts';

/** A vision transformer of random weights, as a safetensors file would give it. */
export interface TinyVit {
  readonly config: VitConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Nine patches; sizes off the kernels' tiles. */
export const TINY_VIT: VitConfig = {
  prefix: 'vit',
  imageSize: 12,
  patchSize: 4,
  dim: 24,
  hiddenDim: 40,
  nLayers: 2,
  nHeads: 3,
  headDim: 8,
  normEps: 1e-12,
  hasQkvBias: true,
  nSpecial: 1,
  labels: ['ant', 'bee', 'cat', 'dog', 'elk', 'fox', 'gnu'],
};

export function tinyVit(seed: number, dtype: DType = 'f32', change: Partial<VitConfig> = {}): TinyVit {
  const config = { ...TINY_VIT, ...change };
  const { prefix, dim, hiddenDim, patchSize, labels } = config;
  const random = randomNumbers(seed);
  const tensors = new Map<string, TensorInfo>();
  const add = (name: string, shape: number[], value: () => number): void => {
    const n = shape.reduce((a, b) => a * b, 1);
    const bytes = new Uint8Array((n / shape.at(-1)!) * rowBytes(dtype, shape.at(-1)!));
    fillWeights(dtype, Float32Array.from({ length: n }, value), random, bytes);
    tensors.set(name, { name, type: dtype, shape, source: bufferSource(name, bytes), offset: 0, nBytes: bytes.length });
  };
  const small = (): number => (random() - 0.5) / 4;
  const dense = (stem: string, out: number, width: number, hasBias = true): void => {
    add(`${stem}.weight`, [out, width], () => ((random() - 0.5) * 4) / Math.sqrt(width));
    if (hasBias) add(`${stem}.bias`, [out], small);
  };
  const norm = (stem: string): void => {
    add(`${stem}.weight`, [dim], () => 0.5 + random());
    add(`${stem}.bias`, [dim], small);
  };
  const e = `${prefix}.embeddings`;
  add(`${e}.cls_token`, [1, 1, dim], small);
  if (prefix === 'deit') add(`${e}.distillation_token`, [1, 1, dim], small);
  add(`${e}.position_embeddings`, [1, nRowsOf(config), dim], small);
  add(`${e}.patch_embeddings.projection.weight`, [dim, 3, patchSize, patchSize], small);
  add(`${e}.patch_embeddings.projection.bias`, [dim], small);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const stem = `${prefix}.encoder.layer.${layer}`;
    for (const part of ['query', 'key', 'value']) {
      dense(`${stem}.attention.attention.${part}`, dim, dim, config.hasQkvBias);
    }
    dense(`${stem}.attention.output.dense`, dim, dim);
    dense(`${stem}.intermediate.dense`, hiddenDim, dim);
    dense(`${stem}.output.dense`, dim, hiddenDim);
    norm(`${stem}.layernorm_before`);
    norm(`${stem}.layernorm_after`);
  }
  norm(`${prefix}.layernorm`);
  dense('classifier', labels.length, dim);
  return { config, tensors };
}

/** Pictures as one run: each is a sequence of its own, and the rows of its special tokens are 0. Reserves the rows. */
export function picturesBatch(cache: KvCache, { config }: TinyVit, seeds: readonly number[], is64 = false): Batch {
  const nRows = nRowsOf(config);
  const width = 3 * config.patchSize ** 2;
  const patches = new (is64 ? Float64Array : Float32Array)(seeds.length * nRows * width);
  const segments = seeds.map((seed, i) => {
    const random = randomNumbers(seed);
    const first = (i * nRows + config.nSpecial) * width;
    // f32 numbers in float64 too: the tiers are compared on the same picture.
    for (let at = first; at < (i + 1) * nRows * width; at++) patches[at] = Math.fround(4 * random() - 2);
    const sequence = cache.create();
    cache.reserve(sequence, nRows);
    return { sequence, from: i * nRows, count: nRows };
  });
  const rows = seeds.flatMap(() => Array.from({ length: nRows }, (_, t) => t));
  return {
    ids: Int32Array.from(rows, (t) => Math.min(t, config.nSpecial)),
    positions: Int32Array.from(rows),
    segments,
    outRows: Int32Array.from(seeds, (_, i) => i * nRows),
    isBidirectional: true,
    patches,
  };
}
