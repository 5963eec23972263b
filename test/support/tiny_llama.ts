import { type DType, rowBytes } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { randomData } from '../../src/load/random_blocks.ts';
import type { LlamaConfig } from '../../src/models/config.ts';
import { FORMATS, type Format } from '../../src/quant/formats.ts';

/** A Llama model of random weights, as the loaders would give it. */
export interface TinyLlama {
  readonly config: LlamaConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
}

/** Small, seeded, good enough to fill weights: mulberry32. */
export function randomNumbers(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let z = state;
    z = Math.imul(z ^ (z >>> 15), z | 1);
    z ^= z + Math.imul(z ^ (z >>> 7), z | 61);
    return ((z ^ (z >>> 14)) >>> 0) / 2 ** 32;
  };
}

export interface TinyOptions {
  readonly seed: number;
  readonly dtype: DType;
  /** Formats of single matrices, by the part of their name behind the layer, where they have another one. */
  readonly others?: Readonly<Record<string, DType>>;
  readonly tied?: boolean;
  readonly config?: Partial<LlamaConfig>;
}

/** headDim 8, so that 4 heads make one block of 32; sizes off the kernels' tiles where a format allows it. */
export const TINY_CONFIG: LlamaConfig = {
  vocab: 53,
  dim: 32,
  hiddenDim: 64,
  nLayers: 2,
  nHeads: 4,
  nKvHeads: 2,
  headDim: 8,
  maxContext: 96,
  normEps: 1e-5,
  ropeLayout: 'pairs',
  ropeBase: 10000,
  ropeDim: 8,
  ropeScaling: { kind: 'none' },
};

/** "blk.0.attn_q.weight" -> "attn_q" */
const partOf = (name: string): string => name.split('.').at(-2)!;

/** All matrices in `dtype`, norms in f32, values uniform with the usual spread of 1 / sqrt(in). */
export function tinyLlama(o: TinyOptions): TinyLlama {
  const config = { ...TINY_CONFIG, ...o.config };
  const random = randomNumbers(o.seed);
  const tensors = new Map<string, TensorInfo>();
  const addTensor = (name: string, shape: number[], dtype: DType, value: () => number): void => {
    const width = shape.at(-1)!;
    const n = shape.reduce((a, b) => a * b, 1);
    const values = new Float32Array(n);
    for (let i = 0; i < n; i++) values[i] = value(); // thrice as fast as Float32Array.from
    const bytes = new Uint8Array((n / width) * rowBytes(dtype, width));
    fillWeights(dtype, values, random, bytes);
    const source = bufferSource(name, bytes);
    tensors.set(name, { name, type: dtype, shape, source, offset: 0, nBytes: bytes.byteLength });
  };
  const matrix = (name: string, out: number, width: number): void =>
    addTensor(name, [out, width], o.others?.[partOf(name)] ?? o.dtype, () => ((random() - 0.5) * 4) / Math.sqrt(width));
  const norm = (name: string): void => addTensor(name, [config.dim], 'f32', () => 0.5 + random());

  const { dim, hiddenDim, nHeads, nKvHeads, headDim, vocab } = config;
  matrix('token_embd.weight', vocab, dim);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const name = (part: string): string => `blk.${layer}.${part}.weight`;
    norm(name('attn_norm'));
    matrix(name('attn_q'), nHeads * headDim, dim);
    matrix(name('attn_k'), nKvHeads * headDim, dim);
    matrix(name('attn_v'), nKvHeads * headDim, dim);
    matrix(name('attn_output'), dim, nHeads * headDim);
    norm(name('ffn_norm'));
    matrix(name('ffn_gate'), hiddenDim, dim);
    matrix(name('ffn_up'), hiddenDim, dim);
    matrix(name('ffn_down'), dim, hiddenDim);
  }
  norm('output_norm.weight');
  if (o.tied !== true) matrix('output.weight', vocab, dim);
  return { config, tensors };
}

/** Scales of super-blocks come out of a search: of a large tensor this many are packed, the others are some of them again. */
const MOST_PACKED = 64;

/**
 * Packs the values where the format has a quantizer; else makes blocks of any codes whose values have their mean square.
 * random: a number in [0, 1).
 */
export function fillWeights(dtype: DType, values: Float32Array, random: () => number, bytes: Uint8Array): void {
  const { pack }: Format = FORMATS[dtype];
  if (pack !== undefined) {
    const { blockSize, blockBytes } = FORMATS[dtype];
    const nBlocks = values.length / blockSize;
    const nPacked = blockSize > 32 ? Math.min(nBlocks, MOST_PACKED) : nBlocks;
    pack(values, 0, nPacked * blockSize, bytes, 0);
    for (let b = nPacked; b < nBlocks; b++) {
      const from = Math.floor(random() * nPacked) * blockBytes;
      bytes.copyWithin(b * blockBytes, from, from + blockBytes);
    }
    return;
  }
  const rms = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
  const weights = { draw: random, rms };
  let at = 0;
  for (const chunk of randomData(dtype, values.length, weights, () => Math.floor(random() * 2 ** 32), undefined)) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
}
