import type { RandomModelShape } from '../random_shape.ts';
import { randomLlama } from './llama.ts';
import { decoderTensors, type MetaPair, matrix, norm, type RandomArchitecture, type RandomTensor } from './parts.ts';

/** Few, so that small models choose each of them, and no power of two. */
const N_EXPERTS = 6;
const N_CHOSEN = 2;

/** Mixtral: a Llama whose feed-forwards are experts. */
export const randomMixtral: RandomArchitecture = {
  ggufName: 'llama',
  metadata: (shape) => [...randomLlama.metadata(shape), ...expertMetadata('llama')],
  tensors(shape) {
    const { dim, nHeads, nKvHeads, hiddenDim } = shape;
    const kvDim = (dim / nHeads) * nKvHeads;
    return decoderTensors(shape, (at) => [
      norm(`${at}.attn_norm`, dim),
      matrix(`${at}.attn_q`, dim, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      matrix(`${at}.attn_v`, kvDim, dim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.ffn_norm`, dim),
      ...expertFeedForward(at, shape, hiddenDim),
    ]);
  },
};

/** Their number, and how many of them a row uses. */
export function expertMetadata(architecture: string): MetaPair[] {
  return [
    [`${architecture}.expert_count`, 'u32', N_EXPERTS],
    [`${architecture}.expert_used_count`, 'u32', N_CHOSEN],
  ];
}

/** The router, and the matrices of all experts. expertDim: the hidden width of one. */
export function expertFeedForward(at: string, { dim }: RandomModelShape, expertDim: number): RandomTensor[] {
  const stack = (part: string, nOut: number, nIn: number): RandomTensor => {
    return { name: `${at}.${part}.weight`, role: 'matrix', shape: [N_EXPERTS, nOut, nIn] };
  };
  return [
    { name: `${at}.ffn_gate_inp.weight`, role: 'f32 matrix', shape: [N_EXPERTS, dim] },
    stack('ffn_gate_exps', expertDim, dim),
    stack('ffn_up_exps', expertDim, dim),
    stack('ffn_down_exps', dim, expertDim),
  ];
}
