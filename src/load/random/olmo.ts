import { decoderMetadata, decoderTensors, gatedFeedForward, matrix, norm, type RandomArchitecture } from './parts.ts';

/** OLMo 2: norms behind attention and feed-forward, and over all heads of q and of k together. */
export const randomOlmo2: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('olmo2', shape),
  tensors(shape) {
    const { dim, nHeads, nKvHeads } = shape;
    const kvDim = (dim / nHeads) * nKvHeads;
    // No published one is tied, and llama.cpp takes none that is.
    return decoderTensors({ ...shape, tied: false }, (at) => [
      matrix(`${at}.attn_q`, dim, dim),
      norm(`${at}.attn_q_norm`, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      norm(`${at}.attn_k_norm`, kvDim),
      matrix(`${at}.attn_v`, kvDim, dim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.post_attention_norm`, dim),
      ...gatedFeedForward(at, shape),
      norm(`${at}.post_ffw_norm`, dim),
    ]);
  },
};
