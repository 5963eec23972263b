import type { MetaType, MetaValue } from '../../core/metadata.ts';
import type { RandomModelShape } from '../random_shape.ts';
import type { UnigramStyle } from '../random_vocabulary.ts';

/**
 * What a tensor is for, which decides how its weights are spread: a matrix [nOut, nIn] (or [n, nOut, nIn] for n experts), a
 * matrix that stays f32, a norm's factors near 1, or a bias around 0. Only matrices are in the model's format, the others are f32.
 */
export interface RandomTensor {
  readonly name: string;
  readonly role: 'matrix' | 'f32 matrix' | 'norm' | 'bias';
  /** Outermost axis first. */
  readonly shape: readonly number[];
}

export type MetaPair = [key: string, type: MetaType, value: MetaValue];

/** An architecture of which random models can be written: its keys and its tensors, in the order of converters. */
export interface RandomArchitecture {
  /** What general.architecture says, where one name there stands for several. */
  readonly ggufName?: string;
  /** Bytes by default; or a Unigram vocabulary with the special tokens of T5, or of XLM-R. */
  readonly vocabulary?: UnigramStyle;
  metadata(shape: RandomModelShape): MetaPair[];
  tensors(shape: RandomModelShape): RandomTensor[];
}

const NORM_EPS = 1e-5;
const ROPE_BASE = 10000;

/** The keys that all decoders have which turn their heads and have RMS norms. ropeDim: elements of a head that turn. */
export function decoderMetadata(
  architecture: string,
  shape: RandomModelShape,
  ropeDim = shape.dim / shape.nHeads,
): MetaPair[] {
  const key = (name: string): string => `${architecture}.${name}`;
  return [
    [key('vocab_size'), 'u32', shape.vocab],
    [key('context_length'), 'u32', shape.maxContext],
    [key('embedding_length'), 'u32', shape.dim],
    [key('block_count'), 'u32', shape.nLayers],
    [key('feed_forward_length'), 'u32', shape.hiddenDim],
    [key('attention.head_count'), 'u32', shape.nHeads],
    [key('attention.head_count_kv'), 'u32', shape.nKvHeads],
    [key('attention.layer_norm_rms_epsilon'), 'f32', Math.fround(NORM_EPS)],
    [key('rope.dimension_count'), 'u32', ropeDim],
    [key('rope.freq_base'), 'f32', ROPE_BASE],
  ];
}

/** The embedding, the tensors of each layer, the last norm, and an output matrix where the embedding is not it. */
export function decoderTensors(
  { nLayers, dim, vocab, tied }: RandomModelShape,
  layer: (at: string) => RandomTensor[],
): RandomTensor[] {
  const layers = Array.from({ length: nLayers }, (_, i) => layer(`blk.${i}`));
  const head = tied ? [] : [matrix('output', vocab, dim)];
  return [matrix('token_embd', vocab, dim), ...layers.flat(), norm('output_norm', dim), ...head];
}

/** Of a SwiGLU. */
export function gatedFeedForward(at: string, { dim, hiddenDim }: RandomModelShape): RandomTensor[] {
  return [
    matrix(`${at}.ffn_gate`, hiddenDim, dim),
    matrix(`${at}.ffn_up`, hiddenDim, dim),
    matrix(`${at}.ffn_down`, dim, hiddenDim),
  ];
}

export function matrix(name: string, nOut: number, nIn: number): RandomTensor {
  return { name: `${name}.weight`, role: 'matrix', shape: [nOut, nIn] };
}

export function norm(name: string, dim: number): RandomTensor {
  return { name: `${name}.weight`, role: 'norm', shape: [dim] };
}

export function bias(name: string, nOut: number): RandomTensor {
  return { name: `${name}.bias`, role: 'bias', shape: [nOut] };
}
