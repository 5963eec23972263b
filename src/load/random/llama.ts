import { decoderMetadata, decoderTensors, gatedFeedForward, matrix, norm, type RandomArchitecture } from './parts.ts';

export const randomLlama: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('llama', shape),
  tensors(shape) {
    const { dim, nHeads, nKvHeads } = shape;
    const kvDim = (dim / nHeads) * nKvHeads;
    return decoderTensors(shape, (at) => [
      norm(`${at}.attn_norm`, dim),
      matrix(`${at}.attn_q`, dim, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      matrix(`${at}.attn_v`, kvDim, dim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.ffn_norm`, dim),
      ...gatedFeedForward(at, shape),
    ]);
  },
};
