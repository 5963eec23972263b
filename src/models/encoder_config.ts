import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getBool, getCount, getStrings, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import { checkSizes } from './config.ts';
import { need } from './config_checks.ts';
import type { EncoderConfig, Pooling } from './encoder.ts';
import { refuseGgufKeys } from './refused_keys.ts';

/**
 * The keys that the GGUF files of all encoders share, `<architecture>.*`.
 * Throws ConfigError for a key that is missing, of another type or out of range, UnsupportedError for a causal model.
 * Source: the GGUF specification (ggml/docs/gguf.md); llama.cpp gguf-py/gguf/constants.py.
 */
export function encoderConfigFromGguf(meta: Metadata, architecture: string): EncoderConfig {
  const key = (name: string): string => `${architecture}.${name}`;
  if (getBool(meta, key('attention.causal')) === true) {
    throw new UnsupportedError(`${key('attention.causal')} is true: rows of an encoder see all rows of their text`);
  }
  refuseGgufKeys(meta, architecture, ['attention.causal']);
  const dim = needCount(meta, key('embedding_length'));
  const nHeads = needCount(meta, key('attention.head_count'));
  const vocab = getCount(meta, key('vocab_size')) ?? getStrings(meta, 'tokenizer.ggml.tokens')?.length;
  return checkEncoder({
    vocab: vocab ?? needCount(meta, key('vocab_size')),
    dim,
    hiddenDim: needCount(meta, key('feed_forward_length')),
    nLayers: needCount(meta, key('block_count')),
    nHeads,
    headDim: dim / nHeads,
    maxContext: needCount(meta, key('context_length')),
    normEps: needNumber(meta, key('attention.layer_norm_epsilon')),
  });
}

/** By pooling_type: 0 and 4 (rank: a reranker) name none. Source: llama.h, enum llama_pooling_type. */
const POOLING_TYPES: readonly (Pooling | null)[] = [null, 'mean', 'cls', 'last', null];

/** Throws ConfigError for a pooling type that has no name. */
export function poolingOf(meta: Metadata, architecture: string): Pooling | null {
  const type = getCount(meta, `${architecture}.pooling_type`) ?? 0;
  const pooling = POOLING_TYPES[type];
  if (pooling === undefined) {
    throw new ConfigError(`${architecture}.pooling_type is ${type}, known are 0 to ${POOLING_TYPES.length - 1}`);
  }
  return pooling;
}

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkEncoder<C extends EncoderConfig>(config: C): C {
  checkSizes({ ...config, nKvHeads: config.nHeads });
  need('normEps', config.normEps, config.normEps >= 0 && config.normEps < 1, 'from 0 to 1');
  return config;
}
