import type { RandomModelShape } from '../random_shape.ts';
import { expertFeedForward, expertMetadata } from './experts.ts';
import {
  bias,
  decoderMetadata,
  decoderTensors,
  gatedFeedForward,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

/** Qwen 2 and 2.5: biases on what attention reads. */
export const randomQwen2: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('qwen2', shape),
  tensors: (shape) => decoderTensors(shape, (at) => [...qwen2Attention(at, shape), ...gatedFeedForward(at, shape)]),
};

function qwen2Attention(at: string, { dim, nHeads, nKvHeads }: RandomModelShape): RandomTensor[] {
  const kvDim = (dim / nHeads) * nKvHeads;
  return [
    norm(`${at}.attn_norm`, dim),
    matrix(`${at}.attn_q`, dim, dim),
    bias(`${at}.attn_q`, dim),
    matrix(`${at}.attn_k`, kvDim, dim),
    bias(`${at}.attn_k`, kvDim),
    matrix(`${at}.attn_v`, kvDim, dim),
    bias(`${at}.attn_v`, kvDim),
    matrix(`${at}.attn_output`, dim, dim),
    norm(`${at}.ffn_norm`, dim),
  ];
}

/** Qwen1.5-MoE: experts that are narrower than the one that all rows use, and its gate, a vector. llama.cpp asks for an output matrix of its own. */
export const randomQwen2Moe: RandomArchitecture = {
  metadata(shape) {
    return [
      ...decoderMetadata('qwen2moe', shape),
      ...expertMetadata('qwen2moe'),
      ['qwen2moe.expert_feed_forward_length', 'u32', shape.dim],
      ['qwen2moe.expert_shared_feed_forward_length', 'u32', shape.hiddenDim],
    ];
  },
  tensors: (shape) =>
    decoderTensors({ ...shape, tied: false }, (at) => [
      ...qwen2Attention(at, shape),
      ...expertFeedForward(at, shape, shape.dim),
      { name: `${at}.ffn_gate_inp_shexp.weight`, role: 'f32 matrix', shape: [shape.dim] },
      matrix(`${at}.ffn_gate_shexp`, shape.hiddenDim, shape.dim),
      matrix(`${at}.ffn_up_shexp`, shape.hiddenDim, shape.dim),
      matrix(`${at}.ffn_down_shexp`, shape.dim, shape.hiddenDim),
    ]),
};

/** As if the model had been trained with fewer positions than any prompt that is compared. */
const YARN_ORIGINAL_CONTEXT = 16;
const YARN_FACTOR = 8;

/** Qwen 3: heads of a size of their own (twice dim / nHeads, as in its smallest models), with norms; stretched by YaRN. */
export const randomQwen3: RandomArchitecture = {
  metadata(shape) {
    const headDim = qwen3HeadDim(shape);
    return [
      ...decoderMetadata('qwen3', shape, headDim),
      ['qwen3.attention.key_length', 'u32', headDim],
      ['qwen3.attention.value_length', 'u32', headDim],
      ['qwen3.rope.scaling.type', 'string', 'yarn'],
      ['qwen3.rope.scaling.factor', 'f32', YARN_FACTOR],
      ['qwen3.rope.scaling.original_context_length', 'u32', YARN_ORIGINAL_CONTEXT],
    ];
  },
  tensors: (shape) => decoderTensors(shape, (at) => [...qwen3Attention(at, shape), ...gatedFeedForward(at, shape)]),
};

/** Qwen 3 with experts: each as wide as a row, narrower than a feed-forward would be. */
export const randomQwen3Moe: RandomArchitecture = {
  metadata(shape) {
    const headDim = qwen3HeadDim(shape);
    return [
      ...decoderMetadata('qwen3moe', shape, headDim),
      ['qwen3moe.attention.key_length', 'u32', headDim],
      ['qwen3moe.attention.value_length', 'u32', headDim],
      ...expertMetadata('qwen3moe'),
      ['qwen3moe.expert_feed_forward_length', 'u32', shape.dim],
    ];
  },
  tensors: (shape) =>
    decoderTensors(shape, (at) => [...qwen3Attention(at, shape), ...expertFeedForward(at, shape, shape.dim)]),
};

function qwen3Attention(at: string, shape: RandomModelShape): RandomTensor[] {
  const { dim, nHeads, nKvHeads } = shape;
  const headDim = qwen3HeadDim(shape);
  return [
    norm(`${at}.attn_norm`, dim),
    matrix(`${at}.attn_q`, nHeads * headDim, dim),
    norm(`${at}.attn_q_norm`, headDim),
    matrix(`${at}.attn_k`, nKvHeads * headDim, dim),
    norm(`${at}.attn_k_norm`, headDim),
    matrix(`${at}.attn_v`, nKvHeads * headDim, dim),
    matrix(`${at}.attn_output`, dim, nHeads * headDim),
    norm(`${at}.ffn_norm`, dim),
  ];
}

function qwen3HeadDim({ dim, nHeads }: RandomModelShape): number {
  return 2 * (dim / nHeads);
}
