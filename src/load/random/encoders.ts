import type { RandomModelShape } from '../random_shape.ts';
import {
  bias,
  gatedFeedForward,
  type MetaPair,
  matrix,
  norm,
  type RandomArchitecture,
  type RandomTensor,
} from './parts.ts';

/**
 * Random encoders: BERT, nomic-bert and ModernBERT. Each head has its own keys and values, whatever the shape says. A BERT that is not tied
 * has a classification head of one score in place of an output matrix.
 */

const NORM_EPS = Math.fround(1e-12);
const NOMIC_ROPE_BASE = 1000;
const GLOBAL_ROPE_BASE = 160000;
const LOCAL_ROPE_BASE = 10000;
const WINDOW = 4;
const GLOBAL_EVERY = 3;
const N_TYPES = 2;
/** Numbers of pooling_type. Source: llama.h, enum llama_pooling_type. */
const POOLING = { mean: 1, rank: 4 } as const;

export const randomBert: RandomArchitecture = {
  metadata: (shape) => metadata('bert', shape),
  tensors(shape) {
    const { dim, hiddenDim, maxContext } = shape;
    const layers = encoderTensors(shape, (at) => [
      ...['attn_q', 'attn_k', 'attn_v', 'attn_output'].flatMap((part) => biased(`${at}.${part}`, dim, dim)),
      ...layerNorm(`${at}.attn_output_norm`, dim),
      ...biased(`${at}.ffn_up`, hiddenDim, dim),
      ...biased(`${at}.ffn_down`, dim, hiddenDim),
      ...layerNorm(`${at}.layer_output_norm`, dim),
    ]);
    return [matrix('position_embd', maxContext, dim), ...layers];
  },
};

/** XLM-R, and the BGE-M3 that are made of it: a BERT in its file, with a Unigram vocabulary. */
export const randomXlmRoberta: RandomArchitecture = { ...randomBert, ggufName: 'bert', vocabulary: 'xlm-roberta' };

export const randomNomicBert: RandomArchitecture = {
  metadata: (shape) => [
    ...metadata('nomic-bert', { ...shape, tied: true }),
    ['nomic-bert.rope.freq_base', 'f32', NOMIC_ROPE_BASE],
  ],
  tensors: (shape) =>
    encoderTensors({ ...shape, tied: true }, (at) => [
      matrix(`${at}.attn_qkv`, 3 * shape.dim, shape.dim),
      matrix(`${at}.attn_output`, shape.dim, shape.dim),
      ...layerNorm(`${at}.attn_output_norm`, shape.dim),
      ...gatedFeedForward(at, shape),
      ...layerNorm(`${at}.layer_output_norm`, shape.dim),
    ]),
};

/** The window reaches two rows to each side; the first layer sees all, the next one does not. */
export const randomModernBert: RandomArchitecture = {
  metadata: (shape) => [
    ...metadata('modern-bert', { ...shape, tied: true }),
    ['modern-bert.rope.freq_base', 'f32', GLOBAL_ROPE_BASE],
    ['modern-bert.rope.freq_base_swa', 'f32', LOCAL_ROPE_BASE],
    ['modern-bert.attention.sliding_window', 'u32', WINDOW],
    ['modern-bert.attention.sliding_window_pattern', 'u32', GLOBAL_EVERY],
  ],
  tensors: ({ nLayers, dim, hiddenDim, vocab }) => [
    matrix('token_embd', vocab, dim),
    norm('token_embd_norm', dim),
    ...Array.from({ length: nLayers }, (_, i) => [
      ...(i === 0 ? [] : [norm(`blk.${i}.attn_norm`, dim)]),
      matrix(`blk.${i}.attn_qkv`, 3 * dim, dim),
      matrix(`blk.${i}.attn_output`, dim, dim),
      norm(`blk.${i}.ffn_norm`, dim),
      matrix(`blk.${i}.ffn_up`, 2 * hiddenDim, dim),
      matrix(`blk.${i}.ffn_down`, dim, hiddenDim),
    ]).flat(),
    norm('output_norm', dim),
  ],
};

function metadata(architecture: string, shape: RandomModelShape): MetaPair[] {
  const key = (name: string): string => `${architecture}.${name}`;
  return [
    [key('context_length'), 'u32', shape.maxContext],
    [key('embedding_length'), 'u32', shape.dim],
    [key('block_count'), 'u32', shape.nLayers],
    [key('feed_forward_length'), 'u32', shape.hiddenDim],
    [key('attention.head_count'), 'u32', shape.nHeads],
    [key('attention.layer_norm_epsilon'), 'f32', NORM_EPS],
    [key('attention.causal'), 'bool', false],
    [key('pooling_type'), 'u32', shape.tied ? POOLING.mean : POOLING.rank],
    ['tokenizer.ggml.token_type_count', 'u32', N_TYPES],
  ];
}

function encoderTensors(shape: RandomModelShape, layer: (at: string) => RandomTensor[]): RandomTensor[] {
  const { nLayers, dim, vocab, tied } = shape;
  return [
    matrix('token_embd', vocab, dim),
    matrix('token_types', N_TYPES, dim),
    ...layerNorm('token_embd_norm', dim),
    ...Array.from({ length: nLayers }, (_, i) => layer(`blk.${i}`)).flat(),
    ...(tied ? [] : [...biased('cls', dim, dim), ...biased('cls.output', 1, dim)]),
  ];
}

function biased(name: string, nOut: number, nIn: number): RandomTensor[] {
  return [matrix(name, nOut, nIn), bias(name, nOut)];
}

function layerNorm(name: string, dim: number): RandomTensor[] {
  return [norm(name, dim), bias(name, dim)];
}
