import { UnsupportedError } from '../core/errors.ts';
import type { Metadata } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { EncoderConfig } from './encoder.ts';
import { checkEncoder, encoderConfigFromGguf } from './encoder_config.ts';
import { number, optionalNumber, refuse } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';

export interface BertConfig extends EncoderConfig {
  /** Where scores have a bias of distances: further ones have that of this one. */
  readonly maxDistance?: number;
}

/** A GGUF file of architecture "bert": its positions begin with 0, those of RoBERTa too, since converters cut the table. */
export function bertConfigFromGguf(meta: Metadata): EncoderConfig {
  return encoderConfigFromGguf(meta, 'bert');
}

/**
 * config.json of bert, roberta, xlm-roberta, distilbert or mpnet.
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, configuration_bert.py, configuration_roberta.py, configuration_distilbert.py and configuration_mpnet.py.
 */
export function bertConfigFromHf(config: JsonObject): BertConfig {
  refuseHfKeys(config);
  switch (config['model_type']) {
    case 'distilbert':
      return distilbertConfig(config);
    case 'mpnet':
      return mpnetConfig(config);
    default:
      return bertConfig(config);
  }
}

/** RoBERTa's rows of positions that no token has: those up to its padding id, which MPNet's code has as a constant. */
export function unusedPositions(config: JsonObject): number {
  const type = config['model_type'];
  if (type === 'mpnet') return MPNET.paddingId + 1;
  return type === 'roberta' || type === 'xlm-roberta' ? number(config, 'pad_token_id') + 1 : 0;
}

function bertConfig(config: JsonObject): EncoderConfig {
  const family = String(config['model_type']);
  refuse(config, 'hidden_act', ['gelu'], family);
  refuse(config, 'position_embedding_type', ['absolute'], family);
  refuse(config, 'is_decoder', [false], family);
  refuse(config, 'add_cross_attention', [false], family);
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  return checkEncoder({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: number(config, 'intermediate_size'),
    nLayers: number(config, 'num_hidden_layers'),
    nHeads,
    headDim: dim / nHeads,
    maxContext: number(config, 'max_position_embeddings') - unusedPositions(config),
    normEps: optionalNumber(config, 'layer_norm_eps') ?? DEFAULT_NORM_EPS,
  });
}

/** Of transformers' MPNetEmbeddings and MPNetEncoder, whatever config.json says. */
export const MPNET = { paddingId: 1, nBuckets: 32, maxDistance: 128 } as const;

function mpnetConfig(config: JsonObject): BertConfig {
  const nBuckets = optionalNumber(config, 'relative_attention_num_buckets') ?? MPNET.nBuckets;
  if (nBuckets !== MPNET.nBuckets) {
    throw new UnsupportedError(
      `config.json: relative_attention_num_buckets is ${nBuckets}; mpnet is run with ${MPNET.nBuckets}`,
    );
  }
  return { ...bertConfig(config), maxDistance: MPNET.maxDistance };
}

/** What DistilBERT's code has, and BERT's config where it does not say. */
const DEFAULT_NORM_EPS = 1e-12;

function distilbertConfig(config: JsonObject): EncoderConfig {
  refuse(config, 'activation', ['gelu'], 'distilbert');
  // The rows of a table that was computed instead of learned are in the file too.
  refuse(config, 'sinusoidal_pos_embds', [false, true], 'distilbert');
  const dim = number(config, 'dim');
  const nHeads = number(config, 'n_heads');
  return checkEncoder({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: number(config, 'hidden_dim'),
    nLayers: number(config, 'n_layers'),
    nHeads,
    headDim: dim / nHeads,
    maxContext: number(config, 'max_position_embeddings'),
    normEps: DEFAULT_NORM_EPS,
  });
}
