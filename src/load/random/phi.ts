import { decoderMetadata, decoderTensors, matrix, norm, type RandomArchitecture } from './parts.ts';

/** Half of the context of the shapes that are compared: factors are those of long sequences there, and of short ones below. */
const ORIGINAL_CONTEXT = 64;
const ATTENTION_FACTOR = 1.25;

/** Phi-3: merged projections, part of each head turned, by LongRoPE. */
export const randomPhi3: RandomArchitecture = {
  metadata: (shape) => [
    ...decoderMetadata('phi3', shape, turnedDim(shape.dim / shape.nHeads)),
    ['phi3.rope.scaling.original_context_length', 'u32', ORIGINAL_CONTEXT],
    ['phi3.rope.scaling.attn_factor', 'f32', ATTENTION_FACTOR],
  ],
  tensors(shape) {
    const { dim, hiddenDim, nHeads, nKvHeads } = shape;
    const headDim = dim / nHeads;
    const nPairs = turnedDim(headDim) / 2;
    return [
      norm('rope_factors_long', nPairs),
      norm('rope_factors_short', nPairs),
      ...decoderTensors(shape, (at) => [
        norm(`${at}.attn_norm`, dim),
        matrix(`${at}.attn_qkv`, dim + 2 * nKvHeads * headDim, dim),
        matrix(`${at}.attn_output`, dim, dim),
        norm(`${at}.ffn_norm`, dim),
        matrix(`${at}.ffn_up`, 2 * hiddenDim, dim),
        matrix(`${at}.ffn_down`, dim, hiddenDim),
      ]),
    ];
  },
};

/** About three quarters, as in Phi-4-mini, and even; all of a head of two. */
function turnedDim(headDim: number): number {
  return Math.max(2, 2 * Math.floor((headDim * 3) / 8));
}
