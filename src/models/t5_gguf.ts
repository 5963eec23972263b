import { UnsupportedError } from '../core/errors.ts';
import { getCount, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { Tensors } from './architecture.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import { checkT5, checkT5Stack, DEFAULT_DISTANCE, type T5Config, type T5Stack } from './t5_config.ts';
import { byDistance, partT5, type T5Tensors } from './t5_tensors.ts';

/** general.architecture of T5, Flan-T5, mT5 and UMT5, which has numbers of distances in each layer. */
export const T5_GGUF_NAME = 't5';

/**
 * The keys `t5.*` of a GGUF file, and what its tensors tell: without an output matrix the embedding is the head.
 * Throws ConfigError for a key that is missing, of another type or out of range, UnsupportedError for a variant by name.
 * Source: llama.cpp, conversion/t5.py and src/models/t5.cpp; there the rows of a tied head are not scaled, in transformers they are.
 */
export function t5ConfigFromGguf(meta: Metadata, tensors: Tensors): T5Config {
  const stack = t5StackFromGguf(meta, tensors, T5_GGUF_NAME);
  return checkT5({
    ...stack,
    nDecoderLayers: getCount(meta, `${T5_GGUF_NAME}.decoder_block_count`) ?? stack.nEncoderLayers,
    isTied: !tensors.has('output.weight'),
    startId: needCount(meta, `${T5_GGUF_NAME}.decoder_start_token_id`),
  });
}

/**
 * What files of `t5` and `t5encoder` share. A matrix ffn_gate makes it v1.1, numbers of distances in layer 1 UMT5. The furthest distance is
 * not in the file; it is 128 in all published models, and in llama.cpp's code.
 */
export function t5StackFromGguf(meta: Metadata, tensors: Tensors, architecture: string): T5Stack {
  const key = (name: string): string => `${architecture}.${name}`;
  const count = (name: string): number => needCount(meta, key(name));
  refuseGgufKeys(meta, architecture);
  const [nHeads, headDim] = [count('attention.head_count'), count('attention.key_length')];
  const same = (name: string, expected: number): void => {
    const found = getCount(meta, key(name)) ?? expected;
    if (found !== expected) throw new UnsupportedError(`${key(name)} is ${found}; t5 is run with ${expected}`);
  };
  same('attention.head_count_kv', nHeads);
  same('attention.value_length', headDim);
  const vocab = getCount(meta, key('vocab_size')) ?? getStrings(meta, 'tokenizer.ggml.tokens')?.length;
  return checkT5Stack({
    vocab: vocab ?? count('vocab_size'),
    dim: count('embedding_length'),
    hiddenDim: count('feed_forward_length'),
    nEncoderLayers: count('block_count'),
    nHeads,
    headDim,
    normEps: needNumber(meta, key('attention.layer_norm_rms_epsilon')),
    feedForward: tensors.has('enc.blk.0.ffn_gate.weight') ? 'gated-gelu' : 'relu',
    nBuckets: count('attention.relative_buckets_count'),
    maxDistance: DEFAULT_DISTANCE,
    hasOwnDistances: tensors.has('enc.blk.1.attn_rel_b.weight'),
    trainedLength: count('context_length'),
  });
}

/** A table that no layer of T5 reads. */
const LEFT_OUT = /^dec\.blk\.\d+\.cross_attn_rel_b\.weight$/;

/** The file's tensors, parted between the graphs. Throws UnsupportedError for one without a place, ShapeError as partT5. */
export function t5TensorsOfGguf(config: T5Config, tensors: Tensors): T5Tensors {
  return partT5(config, namedAsOurs(tensors));
}

/** The same of a file that has an encoder alone. */
export function t5EncoderTensorsOfGguf(stack: T5Stack, tensors: Tensors): Tensors {
  const isTable = (name: string): boolean => name.endsWith('attn_rel_b.weight');
  const named = [...namedAsOurs(tensors)];
  return new Map(named.map(([name, info]) => [name, isTable(name) ? byDistance(info, stack, true) : info]));
}

function namedAsOurs(tensors: Tensors): Tensors {
  const named = [...tensors].filter(([name]) => !LEFT_OUT.test(name));
  return new Map(named.map(([name, info]) => [name.replace(/attn_o\.weight$/, 'attn_output.weight'), info]));
}
