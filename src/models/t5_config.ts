import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkSizes } from './config.ts';
import { need, needSize } from './config_checks.ts';
import { number, optionalNumber, refuse } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';

/** What decides the graph of a T5's encoder, and most of what decides its decoder's. */
export interface T5Stack {
  readonly vocab: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nEncoderLayers: number;
  readonly nHeads: number;
  /** Its own number: nHeads * headDim need not be dim. */
  readonly headDim: number;
  readonly normEps: number;
  /** relu: two matrices (v1.0). gated gelu: three (v1.1, Flan). */
  readonly feedForward: 'relu' | 'gated-gelu';
  /** Numbers of one head for all distances, of which the furthest is maxDistance. */
  readonly nBuckets: number;
  readonly maxDistance: number;
  /** Each layer has numbers of its own (UMT5); else all have those of layer 0. */
  readonly hasOwnDistances: boolean;
  /** Tokens of the texts that it was trained on; its distances have no limit. */
  readonly trainedLength: number;
}

/** Everything that decides the two graphs of a T5. */
export interface T5Config extends T5Stack {
  readonly nDecoderLayers: number;
  /** The embedding is the head too, over rows times dim^-0.5. */
  readonly isTied: boolean;
  /** The id that decoding starts from. */
  readonly startId: number;
}

/** Defaults of T5Config: what a config.json leaves out. */
const DEFAULT_BUCKETS = 32;
export const DEFAULT_DISTANCE = 128;
const DEFAULT_EPS = 1e-6;
const DEFAULT_LENGTH = 512;
/** The table by distance is nHeads * (2 maxDistance + 1) numbers. */
const MAX_DISTANCE = 4096;
/** Published models have 32. The time for a table by distance grows faster than the square of it. */
const MAX_BUCKETS = 128;

/** Families of config.json, with what each computes where a field is missing. */
const FAMILIES = {
  t5: { architectures: ['T5ForConditionalGeneration', 'T5WithLMHeadModel'], isTied: true, feedForward: 'relu' },
  mt5: { architectures: ['MT5ForConditionalGeneration'], isTied: false, feedForward: 'gated-gelu' },
  // What it is without the field has changed from version to version of its code.
  umt5: { architectures: ['UMT5ForConditionalGeneration'], isTied: undefined, feedForward: 'gated-gelu' },
} as const;

/**
 * Reads config.json of a T5ForConditionalGeneration, or of an mT5 or UMT5, whose graphs are those of T5 v1.1.
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/t5/configuration_t5.py and modeling_t5.py, models/mt5 and models/umt5.
 */
export function t5ConfigFromHf(config: JsonObject): T5Config {
  const { model_type: type, architectures } = config;
  if (type !== 't5' && type !== 'mt5' && type !== 'umt5') {
    const known = Object.keys(FAMILIES).join(', ');
    throw new UnsupportedError(`config.json: model_type is ${JSON.stringify(type)}, expected one of ${known}`);
  }
  const family = FAMILIES[type];
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  if (!family.architectures.some((known) => known === architecture)) {
    throw new UnsupportedError(
      `config.json: architecture is ${JSON.stringify(architecture)}; ${type} is run as ${family.architectures[0]}`,
    );
  }
  refuseHfKeys(config);
  const feedForward = config['feed_forward_proj'] ?? family.feedForward;
  refuse(config, 'is_encoder_decoder', [true], 't5');
  refuse(config, 'feed_forward_proj', ['relu', 'gated-gelu'], 't5');
  refuse(config, 'tie_word_embeddings', [true, false], 't5');
  const isTied = config['tie_word_embeddings'] ?? family.isTied;
  if (isTied === undefined) {
    throw new ConfigError('config.json: tie_word_embeddings is missing; a umt5 says whether its embedding is its head');
  }
  refuse(config, 'scale_decoder_outputs', [isTied === true], `t5 with tie_word_embeddings ${isTied}`);
  const nEncoderLayers = number(config, 'num_layers');
  return checkT5({
    vocab: number(config, 'vocab_size'),
    dim: number(config, 'd_model'),
    hiddenDim: number(config, 'd_ff'),
    nEncoderLayers,
    nDecoderLayers: optionalNumber(config, 'num_decoder_layers') ?? nEncoderLayers,
    nHeads: number(config, 'num_heads'),
    headDim: number(config, 'd_kv'),
    normEps: optionalNumber(config, 'layer_norm_epsilon') ?? DEFAULT_EPS,
    feedForward: feedForward === 'gated-gelu' ? 'gated-gelu' : 'relu',
    isTied: isTied === true,
    hasOwnDistances: type === 'umt5',
    nBuckets: optionalNumber(config, 'relative_attention_num_buckets') ?? DEFAULT_BUCKETS,
    maxDistance: optionalNumber(config, 'relative_attention_max_distance') ?? DEFAULT_DISTANCE,
    trainedLength: optionalNumber(config, 'n_positions') ?? DEFAULT_LENGTH,
    startId: number(config, 'decoder_start_token_id'),
  });
}

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkT5(config: T5Config): T5Config {
  checkT5Stack(config);
  const { nDecoderLayers: nLayers, nHeads: nKvHeads, trainedLength: maxContext, startId, vocab } = config;
  checkSizes({ ...config, nLayers, nKvHeads, maxContext });
  if (!(Number.isInteger(startId) && startId >= 0 && startId < vocab)) {
    throw new ConfigError(`decoder_start_token_id is ${startId}, expected an id below ${vocab}`);
  }
  return config;
}

/** The same of what the encoder has. */
export function checkT5Stack<C extends T5Stack>(config: C): C {
  const { nBuckets, maxDistance, normEps, nEncoderLayers: nLayers, nHeads: nKvHeads, trainedLength } = config;
  checkSizes({ ...config, nLayers, nKvHeads, maxContext: trainedLength });
  need('normEps', normEps, normEps >= 0 && normEps < 1, 'from 0 to 1');
  needSize('relative_attention_max_distance', maxDistance, MAX_DISTANCE);
  needSize('relative_attention_num_buckets', nBuckets, MAX_BUCKETS);
  need('relative_attention_num_buckets', nBuckets, nBuckets >= 4 && nBuckets % 4 === 0, 'a multiple of 4');
  need('relative_attention_num_buckets', nBuckets, nBuckets / 2 < maxDistance, `below ${2 * maxDistance}`);
  return config;
}
