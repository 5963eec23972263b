import type { RandomModelShape } from '../random_shape.ts';
import {
  bias,
  decoderTensors,
  type MetaPair,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

/** Random models of the decoders with layer norms: GPT-2, GPT-NeoX, Falcon. */

const NORM_EPS = Math.fround(1e-5);
const ROPE_BASE = 10000;

/** A kv head for each head, whatever the shape says. */
export const randomGpt2: RandomArchitecture = {
  metadata: (shape) => sizes('gpt2', shape),
  tensors: (shape) => [...gptTensors(shape), matrix('position_embd', shape.maxContext, shape.dim)],
};

/** As GPT-2, but never tied: where the shape is, the two halves of a layer follow each other, elsewhere they are side by side. */
export const randomGptNeox: RandomArchitecture = {
  metadata: (shape) => [
    ...sizes('gptneox', shape),
    ['gptneox.use_parallel_residual', 'bool', !shape.tied],
    // About a quarter of a head, as in Pythia, and even.
    ['gptneox.rope.dimension_count', 'u32', 2 * Math.ceil(shape.dim / shape.nHeads / 8)],
    ['gptneox.rope.freq_base', 'f32', ROPE_BASE],
  ],
  tensors: (shape) => gptTensors({ ...shape, tied: false }),
};

/** One norm for a layer where there is one kv head, as in Falcon 7B, two where there are more, as in Falcon 40B. */
export const randomFalcon: RandomArchitecture = {
  metadata: (shape) => [
    ...sizes('falcon', shape),
    ['falcon.attention.head_count_kv', 'u32', shape.nKvHeads],
    ['falcon.tensor_data_layout', 'string', 'jploski'],
    ['falcon.rope.freq_base', 'f32', ROPE_BASE],
  ],
  tensors(shape) {
    const { dim, nHeads, nKvHeads, hiddenDim } = shape;
    const layers = decoderTensors(shape, (at) => [
      ...layerNorm(`${at}.attn_norm`, dim),
      ...(nKvHeads > 1 ? layerNorm(`${at}.attn_norm_2`, dim) : []),
      matrix(`${at}.attn_qkv`, dim + (2 * nKvHeads * dim) / nHeads, dim),
      matrix(`${at}.attn_output`, dim, dim),
      matrix(`${at}.ffn_up`, hiddenDim, dim),
      matrix(`${at}.ffn_down`, dim, hiddenDim),
    ]);
    return [...layers, bias('output_norm', dim)];
  },
};

function sizes(architecture: string, shape: RandomModelShape): MetaPair[] {
  const key = (name: string): string => `${architecture}.${name}`;
  return [
    [key('context_length'), 'u32', shape.maxContext],
    [key('embedding_length'), 'u32', shape.dim],
    [key('block_count'), 'u32', shape.nLayers],
    [key('feed_forward_length'), 'u32', shape.hiddenDim],
    [key('attention.head_count'), 'u32', shape.nHeads],
    [key('attention.layer_norm_epsilon'), 'f32', NORM_EPS],
  ];
}

function gptTensors(shape: RandomModelShape): RandomTensor[] {
  const { dim, hiddenDim } = shape;
  const layers = decoderTensors(shape, (at) => [
    ...layerNorm(`${at}.attn_norm`, dim),
    ...biased(`${at}.attn_qkv`, 3 * dim, dim),
    ...biased(`${at}.attn_output`, dim, dim),
    ...layerNorm(`${at}.ffn_norm`, dim),
    ...biased(`${at}.ffn_up`, hiddenDim, dim),
    ...biased(`${at}.ffn_down`, dim, hiddenDim),
  ]);
  return [...layers, bias('output_norm', dim)];
}

function biased(name: string, nOut: number, nIn: number): RandomTensor[] {
  return [matrix(name, nOut, nIn), bias(name, nOut)];
}

function layerNorm(name: string, dim: number): RandomTensor[] {
  return [norm(name, dim), bias(name, dim)];
}
