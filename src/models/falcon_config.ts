import { ConfigError } from '../core/errors.ts';
import { getCount, getNumber, getString, type Metadata } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { Tensors } from './architecture.ts';
import type { Bias } from './blocks.ts';
import { needSize } from './config_checks.ts';
import { checkGptConfig, type GptConfig, geluFormOf, gptSizesFromGguf } from './gpt_config.ts';
import { number, optionalNumber, refuse, ropeBaseOf, ropeScalingOf } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';
import { checkRope, type RopeConfig } from './rope_config.ts';
import { refuseGgufRopeScaling } from './rope_gguf.ts';

export interface FalconConfig extends GptConfig, RopeConfig {
  /** Layer norms of a layer: one for attention and feed-forward both, or one for each. */
  readonly nNorms: 1 | 2;
  /** Whether they read the same x, and both are added to it; otherwise one after the other, each behind its own norm. */
  readonly isParallel: boolean;
  /** Whether products have a bias. */
  readonly bias: Bias;
  /** How heads know where a row is: they are turned, or scores fall with the distance. */
  readonly places: 'rope' | 'alibi';
}

/** ALiBi's table has 2 nHeads numbers for each position; Falcon-RW has 2,048 positions. */
const MAX_ALIBI = 1 << 16;

/** Defaults of transformers' FalconConfig, which leaves them out of config.json. */
const DEFAULT_ROPE_BASE = 10000;
const DEFAULT_NORM_EPS = 1e-5;
const DEFAULT_CONTEXT = 2048;

/** How a GGUF file says that the rows of attn_qkv are all queries, then all keys, then all values. */
const QKV_LAYOUT = 'jploski';

/**
 * The config of a GGUF file of architecture "falcon". No key says the activation: Falcon's is GELU by erf. Whether a layer has
 * one norm or two is said by its tensors alone.
 * Throws ConfigError for a key that is missing, of another type or out of range; UnsupportedError for a variant by name.
 */
export function falconConfigFromGguf(meta: Metadata, tensors: Tensors): FalconConfig {
  refuseGgufRopeScaling(meta, 'falcon');
  const layout = getString(meta, 'falcon.tensor_data_layout');
  if (layout !== QKV_LAYOUT) {
    throw new ConfigError(
      `falcon.tensor_data_layout is ${JSON.stringify(layout ?? null)}, must be "${QKV_LAYOUT}": the order of the rows of attn_qkv is not known; convert the model again`,
    );
  }
  const sizes = gptSizesFromGguf(meta, 'falcon');
  return checkFalcon({
    ...sizes,
    activation: 'gelu',
    nNorms: [...tensors.keys()].some((name) => name.includes('.attn_norm_2.')) ? 2 : 1,
    isParallel: true,
    bias: 'no bias',
    places: 'rope',
    ropeLayout: 'halves',
    ropeBase: getNumber(meta, 'falcon.rope.freq_base') ?? DEFAULT_ROPE_BASE,
    ropeDim: getCount(meta, 'falcon.rope.dimension_count') ?? sizes.headDim,
    ropeScaling: { kind: 'none' },
  });
}

/**
 * The config of a Hugging Face folder whose model_type is "falcon".
 *
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/falcon/configuration_falcon.py and modeling_falcon.py.
 */
export function falconConfigFromHf(config: JsonObject): FalconConfig {
  refuseHfKeys(config, ['alibi', 'parallel_attn']);
  refuse(config, 'alibi', [false, true], 'Falcon');
  refuse(config, 'bias', [false, true], 'Falcon');
  refuse(config, 'apply_residual_connection_post_layernorm', [false], 'Falcon');
  refuse(config, 'new_decoder_architecture', [false, true], 'Falcon');
  refuse(config, 'multi_query', [true, false], 'Falcon');
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  const headDim = Math.floor(dim / nHeads);
  const isNew = config['new_decoder_architecture'] === true;
  refuse(config, 'parallel_attn', isNew ? [true] : [true, false], isNew ? 'the new architecture of Falcon' : 'Falcon');
  const nNorms = isNew ? (optionalNumber(config, 'num_ln_in_parallel_attn') ?? 2) : 1;
  if (nNorms !== 1 && nNorms !== 2) {
    throw new ConfigError(`config.json: num_ln_in_parallel_attn is ${nNorms}, must be 1 or 2`);
  }
  return checkFalcon({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: optionalNumber(config, 'ffn_hidden_size') ?? 4 * dim,
    nLayers: number(config, 'num_hidden_layers'),
    nHeads,
    nKvHeads: nKvHeadsOf(config, nHeads, isNew),
    headDim,
    maxContext: optionalNumber(config, 'max_position_embeddings') ?? DEFAULT_CONTEXT,
    normEps: optionalNumber(config, 'layer_norm_epsilon') ?? DEFAULT_NORM_EPS,
    activation: geluFormOf(config, 'activation', 'gelu'),
    nNorms,
    isParallel: config['parallel_attn'] !== false,
    bias: config['bias'] === true ? 'bias' : 'no bias',
    places: config['alibi'] === true ? 'alibi' : 'rope',
    ropeLayout: 'halves',
    ropeBase: ropeBaseOf(config, DEFAULT_ROPE_BASE),
    ropeDim: headDim,
    ropeScaling: ropeScalingOf(config),
  });
}

/** The new architecture counts them; the old one has a single one (multi-query) or one for each head. */
function nKvHeadsOf(config: JsonObject, nHeads: number, isNew: boolean): number {
  if (isNew) return optionalNumber(config, 'num_kv_heads') ?? nHeads;
  return config['multi_query'] === false ? nHeads : 1;
}

function checkFalcon(config: FalconConfig): FalconConfig {
  checkGptConfig(config);
  if (config.places === 'alibi') needSize('maxContext with ALiBi', config.maxContext, MAX_ALIBI);
  checkRope(config, config.headDim);
  return config;
}
