import { UnsupportedError } from '../core/errors.ts';
import { getCount, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { Tensors } from './architecture.ts';
import { need } from './config_checks.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import { checkT5, DEFAULT_DISTANCE, type T5Config } from './t5_config.ts';
import { partT5, type T5Tensors } from './t5_tensors.ts';

/** general.architecture of T5, Flan-T5, mT5 and UMT5, which has numbers of distances in each layer. */
export const T5_GGUF_NAME = 't5';

/**
 * The keys `t5.*` of a GGUF file, and what its tensors tell: a matrix ffn_gate makes it v1.1, and without an output matrix the embedding
 * is the head. The furthest distance is not in the file; it is 128 in all published models, and in llama.cpp's code.
 * Throws ConfigError for a key that is missing, of another type or out of range, UnsupportedError for a variant by name.
 * Source: llama.cpp, conversion/t5.py and src/models/t5.cpp; there the rows of a tied head are not scaled, in transformers they are.
 */
export function t5ConfigFromGguf(meta: Metadata, tensors: Tensors): T5Config {
  const key = (name: string): string => `${T5_GGUF_NAME}.${name}`;
  const count = (name: string): number => needCount(meta, key(name));
  refuseGgufKeys(meta, T5_GGUF_NAME);
  const [nHeads, headDim, nEncoderLayers] = [
    count('attention.head_count'),
    count('attention.key_length'),
    count('block_count'),
  ];
  const same = (name: string, expected: number): void => {
    const found = getCount(meta, key(name)) ?? expected;
    if (found !== expected) throw new UnsupportedError(`${key(name)} is ${found}; t5 is run with ${expected}`);
  };
  same('attention.head_count_kv', nHeads);
  same('attention.value_length', headDim);
  const startId = count('decoder_start_token_id');
  const vocab = getCount(meta, key('vocab_size')) ?? getStrings(meta, 'tokenizer.ggml.tokens')?.length;
  need(key('vocab_size'), vocab ?? 0, vocab !== undefined, 'the number of tokens');
  return checkT5({
    vocab: vocab!,
    dim: count('embedding_length'),
    hiddenDim: count('feed_forward_length'),
    nEncoderLayers,
    nDecoderLayers: getCount(meta, key('decoder_block_count')) ?? nEncoderLayers,
    nHeads,
    headDim,
    normEps: needNumber(meta, key('attention.layer_norm_rms_epsilon')),
    feedForward: tensors.has('enc.blk.0.ffn_gate.weight') ? 'gated-gelu' : 'relu',
    isTied: !tensors.has('output.weight'),
    nBuckets: count('attention.relative_buckets_count'),
    maxDistance: DEFAULT_DISTANCE,
    trainedLength: count('context_length'),
    startId,
  });
}

/** A table that no layer of T5 reads. */
const LEFT_OUT = /^dec\.blk\.\d+\.cross_attn_rel_b\.weight$/;

/** The file's tensors, parted between the graphs. Throws UnsupportedError for one without a place, ShapeError as partT5. */
export function t5TensorsOfGguf(config: T5Config, tensors: Tensors): T5Tensors {
  const named = [...tensors].filter(([name]) => !LEFT_OUT.test(name));
  return partT5(
    config,
    new Map(named.map(([name, info]) => [name.replace(/attn_o\.weight$/, 'attn_output.weight'), info])),
  );
}
