import type { MetaType, MetaValue } from '../core/metadata.ts';
import type { RandomModelShape } from './random_shape.ts';

/**
 * What a tensor is for, which decides how its weights are spread: a matrix [nOut, nIn] (or [n, nOut, nIn] for n experts), a
 * norm's factors near 1, or a bias around 0. Only matrices are in the model's format, the others are f32.
 */
export interface RandomTensor {
  readonly name: string;
  readonly role: 'matrix' | 'norm' | 'bias';
  /** Outermost axis first. */
  readonly shape: readonly number[];
}

/** An architecture of which random models can be written: its keys and its tensors, in the order of converters. */
export interface RandomArchitecture {
  metadata(shape: RandomModelShape): [key: string, type: MetaType, value: MetaValue][];
  tensors(shape: RandomModelShape): RandomTensor[];
}

const NORM_EPS = 1e-5;
const ROPE_BASE = 10000;

/** By the name in general.architecture. Another one is a line here; models/architectures.ts has those that can be run. */
export const RANDOM_ARCHITECTURES = {
  llama: { metadata: llamaMetadata, tensors: llamaTensors },
} as const satisfies Readonly<Record<string, RandomArchitecture>>;

export type RandomArchitectureName = keyof typeof RANDOM_ARCHITECTURES;

function llamaMetadata(shape: RandomModelShape): [key: string, type: MetaType, value: MetaValue][] {
  return [
    ['llama.vocab_size', 'u32', shape.vocab],
    ['llama.context_length', 'u32', shape.maxContext],
    ['llama.embedding_length', 'u32', shape.dim],
    ['llama.block_count', 'u32', shape.nLayers],
    ['llama.feed_forward_length', 'u32', shape.hiddenDim],
    ['llama.attention.head_count', 'u32', shape.nHeads],
    ['llama.attention.head_count_kv', 'u32', shape.nKvHeads],
    ['llama.attention.layer_norm_rms_epsilon', 'f32', Math.fround(NORM_EPS)],
    ['llama.rope.dimension_count', 'u32', shape.dim / shape.nHeads],
    ['llama.rope.freq_base', 'f32', ROPE_BASE],
  ];
}

function llamaTensors({ nLayers, dim, nHeads, nKvHeads, hiddenDim, vocab, tied }: RandomModelShape): RandomTensor[] {
  const kvDim = (dim / nHeads) * nKvHeads;
  const layers = Array.from({ length: nLayers }, (_, layer) => {
    const at = `blk.${layer}`;
    return [
      norm(`${at}.attn_norm`, dim),
      matrix(`${at}.attn_q`, dim, dim),
      matrix(`${at}.attn_k`, kvDim, dim),
      matrix(`${at}.attn_v`, kvDim, dim),
      matrix(`${at}.attn_output`, dim, dim),
      norm(`${at}.ffn_norm`, dim),
      matrix(`${at}.ffn_gate`, hiddenDim, dim),
      matrix(`${at}.ffn_up`, hiddenDim, dim),
      matrix(`${at}.ffn_down`, dim, hiddenDim),
    ];
  });
  const head = tied ? [] : [matrix('output', vocab, dim)];
  return [matrix('token_embd', vocab, dim), ...layers.flat(), norm('output_norm', dim), ...head];
}

function matrix(name: string, nOut: number, nIn: number): RandomTensor {
  return { name: `${name}.weight`, role: 'matrix', shape: [nOut, nIn] };
}

function norm(name: string, dim: number): RandomTensor {
  return { name: `${name}.weight`, role: 'norm', shape: [dim] };
}
