import type { RandomModelShape } from '../random_shape.ts';
import {
  decoderMetadata,
  decoderTensors,
  gatedFeedForward,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

export const randomLlama: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('llama', shape),
  tensors,
};

/** The same tensors; what differs has no key: every fourth layer does not turn its heads. */
export const randomSmolLm3: RandomArchitecture = {
  metadata: (shape) => decoderMetadata('smollm3', shape),
  tensors,
};

function tensors(shape: RandomModelShape): RandomTensor[] {
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
}
