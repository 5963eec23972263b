import type { RandomModelShape } from '../random_shape.ts';
import {
  decoderMetadata,
  decoderTensors,
  gatedFeedForward,
  type MetaPair,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

/** Short, and low, so that they matter in models of a few layers that are asked for a few tokens. */
const WINDOW = 8;
const ATTENTION_CAP = 1.5;
const LOGIT_CAP = 3;
/** Of Gemma 3's global layers, which are stretched as those of its larger models. */
const GLOBAL_ROPE_BASE = 1e6;
const GLOBAL_ROPE_FACTOR = 8;

export const randomGemma: RandomArchitecture = {
  metadata: (shape) => gemmaMetadata('gemma', shape),
  tensors: (shape) => gemmaTensors(shape, () => [], []),
};

export const randomGemma2: RandomArchitecture = {
  metadata: (shape) => [
    ...gemmaMetadata('gemma2', shape),
    ['gemma2.attention.sliding_window', 'u32', WINDOW],
    ['gemma2.attn_logit_softcapping', 'f32', ATTENTION_CAP],
    ['gemma2.final_logit_softcapping', 'f32', LOGIT_CAP],
  ],
  tensors: (shape) => gemmaTensors(shape, () => [], ['post_attention_norm', 'post_ffw_norm']),
};

export const randomGemma3: RandomArchitecture = {
  metadata: (shape) => [
    ...gemmaMetadata('gemma3', shape, GLOBAL_ROPE_BASE),
    ['gemma3.attention.sliding_window', 'u32', WINDOW],
    ['gemma3.rope.scaling.type', 'string', 'linear'],
    ['gemma3.rope.scaling.factor', 'f32', GLOBAL_ROPE_FACTOR],
  ],
  tensors: (shape) =>
    gemmaTensors(
      shape,
      (at) => [norm(`${at}.attn_q_norm`, headDimOf(shape)), norm(`${at}.attn_k_norm`, headDimOf(shape))],
      ['post_attention_norm', 'post_ffw_norm'],
    ),
};

function gemmaMetadata(architecture: string, shape: RandomModelShape, ropeBase?: number): MetaPair[] {
  const headDim = headDimOf(shape);
  const pairs = decoderMetadata(architecture, shape, headDim).map((pair): MetaPair => {
    const [key, type] = pair;
    return key.endsWith('.rope.freq_base') && ropeBase !== undefined ? [key, type, ropeBase] : pair;
  });
  return [
    ...pairs,
    [`${architecture}.attention.key_length`, 'u32', headDim],
    [`${architecture}.attention.value_length`, 'u32', headDim],
  ];
}

/** The embedding always is the output matrix too. */
function gemmaTensors(
  shape: RandomModelShape,
  headNorms: (at: string) => RandomTensor[],
  postNorms: readonly string[],
): RandomTensor[] {
  const { dim, nHeads, nKvHeads } = shape;
  const headDim = headDimOf(shape);
  return decoderTensors({ ...shape, tied: true }, (at) => [
    norm(`${at}.attn_norm`, dim),
    matrix(`${at}.attn_q`, nHeads * headDim, dim),
    matrix(`${at}.attn_k`, nKvHeads * headDim, dim),
    matrix(`${at}.attn_v`, nKvHeads * headDim, dim),
    ...headNorms(at),
    matrix(`${at}.attn_output`, dim, nHeads * headDim),
    norm(`${at}.ffn_norm`, dim),
    ...gatedFeedForward(at, shape),
    ...postNorms.map((name) => norm(`${at}.${name}`, dim)),
  ]);
}

/** Heads have a size of their own: twice dim / nHeads. */
function headDimOf({ dim, nHeads }: RandomModelShape): number {
  return 2 * (dim / nHeads);
}
