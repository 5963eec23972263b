import type { RandomModelShape } from '../random_shape.ts';
import { gatedFeedForward, type MetaPair, matrix, norm, type RandomArchitecture, type RandomTensor } from './parts.ts';

/**
 * Random T5s, encoder and decoder of nLayers each: as v1.0 where the embedding is the head (relu between two matrices), else as v1.1
 * (gelu(gate) * up). Each head has its own keys and values, whatever the shape says. Names and keys are those of llama.cpp's converter.
 */

const NORM_EPS = Math.fround(1e-6);
const N_BUCKETS = 32;
/** The pad token, from which decoding starts. */
const START_ID = 0;

export const randomT5: RandomArchitecture = {
  vocabulary: 't5',
  metadata: (shape) => [
    ...metadata('t5', shape),
    ['t5.decoder_block_count', 'u32', shape.nLayers],
    ['t5.decoder_start_token_id', 'u32', START_ID],
  ],
  tensors: (shape) => [
    matrix('token_embd', shape.vocab, shape.dim),
    ...(['enc', 'dec'] as const).flatMap((side) => sideTensors(side, shape)),
    ...(shape.tied ? [] : [matrix('output', shape.vocab, shape.dim)]),
  ],
};

/** An encoder without a decoder: v1.0 or v1.1, as above. */
export const randomT5Encoder: RandomArchitecture = {
  vocabulary: 't5',
  metadata: (shape) => metadata('t5encoder', shape),
  tensors: (shape) => [matrix('token_embd', shape.vocab, shape.dim), ...sideTensors('enc', shape)],
};

function metadata(architecture: string, shape: RandomModelShape): MetaPair[] {
  const { maxContext, dim, hiddenDim, nLayers, nHeads } = shape;
  const key = (name: string): string => `${architecture}.${name}`;
  return [
    [key('context_length'), 'u32', maxContext],
    [key('embedding_length'), 'u32', dim],
    [key('feed_forward_length'), 'u32', hiddenDim],
    [key('block_count'), 'u32', nLayers],
    [key('attention.head_count'), 'u32', nHeads],
    [key('attention.key_length'), 'u32', dim / nHeads],
    [key('attention.value_length'), 'u32', dim / nHeads],
    [key('attention.layer_norm_epsilon'), 'f32', NORM_EPS],
    [key('attention.relative_buckets_count'), 'u32', N_BUCKETS],
    [key('attention.layer_norm_rms_epsilon'), 'f32', NORM_EPS],
  ];
}

function sideTensors(side: 'enc' | 'dec', shape: RandomModelShape): RandomTensor[] {
  return [
    ...Array.from({ length: shape.nLayers }, (_, layer) => layerTensors(side, layer, shape)).flat(),
    norm(`${side}.output_norm`, shape.dim),
  ];
}

function layerTensors(side: 'enc' | 'dec', layer: number, shape: RandomModelShape): RandomTensor[] {
  const { dim, hiddenDim, nHeads, tied } = shape;
  const at = `${side}.blk.${layer}`;
  const attention = (kind: 'attn' | 'cross_attn'): RandomTensor[] => [
    norm(`${at}.${kind}_norm`, dim),
    ...['q', 'k', 'v', 'o'].map((part) => matrix(`${at}.${kind}_${part}`, dim, dim)),
  ];
  return [
    ...attention('attn'),
    ...(layer === 0
      ? [{ name: `${at}.attn_rel_b.weight`, role: 'f32 matrix', shape: [N_BUCKETS, nHeads] } satisfies RandomTensor]
      : []),
    ...(side === 'dec' ? attention('cross_attn') : []),
    norm(`${at}.ffn_norm`, dim),
    ...(tied
      ? [matrix(`${at}.ffn_up`, hiddenDim, dim), matrix(`${at}.ffn_down`, dim, hiddenDim)]
      : gatedFeedForward(at, shape)),
  ];
}
