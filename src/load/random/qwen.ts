import {
  bias,
  decoderMetadata,
  decoderTensors,
  gatedFeedForward,
  matrix,
  norm,
  type RandomArchitecture,
} from './parts.ts';

/** Qwen 2 and 2.5: biases on what attention reads. */
export const randomQwen2: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('qwen2', shape),
  tensors(shape) {
    const { dim, nHeads, nKvHeads } = shape;
    const kvDim = (dim / nHeads) * nKvHeads;
    return decoderTensors(shape, (at) => [
      norm(`${at}.attn_norm`, dim),
      matrix(`${at}.attn_q`, dim, dim),
      bias(`${at}.attn_q`, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      bias(`${at}.attn_k`, kvDim),
      matrix(`${at}.attn_v`, kvDim, dim),
      bias(`${at}.attn_v`, kvDim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.ffn_norm`, dim),
      ...gatedFeedForward(at, shape),
    ]);
  },
};
