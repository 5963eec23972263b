import { UnsupportedError } from '../core/errors.ts';
import { getCount, getNumber, type Metadata, needBool } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkGptConfig, type GptConfig, geluFormOf, gptSizesFromGguf } from './gpt_config.ts';
import { number, optionalNumber, refuse, ropeBaseOf, ropeObject, ropeScalingOf } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';
import { checkRope, type RopeConfig } from './rope_config.ts';
import { refuseGgufRopeScaling } from './rope_gguf.ts';

export interface GptNeoxConfig extends GptConfig, RopeConfig {
  /** Attention and feed-forward read the same x, and both are added to it; otherwise one after the other. */
  readonly isParallel: boolean;
}

/** Defaults of transformers' GPTNeoXConfig, which leaves them out of config.json. */
const DEFAULT_ROPE_BASE = 10000;
const DEFAULT_ROPE_SHARE = 0.25;
const DEFAULT_NORM_EPS = 1e-5;

/**
 * The config of a GGUF file of architecture "gptneox". No key says the activation: GPT-NeoX's is GELU by erf.
 * Throws ConfigError for a key that is missing, of another type or out of range; UnsupportedError for a variant by name.
 */
export function gptNeoxConfigFromGguf(meta: Metadata): GptNeoxConfig {
  refuseGgufRopeScaling(meta, 'gptneox');
  const sizes = gptSizesFromGguf(meta, 'gptneox', ['use_parallel_residual']);
  return checkGptNeox({
    ...sizes,
    activation: 'gelu',
    isParallel: needBool(meta, 'gptneox.use_parallel_residual'),
    ropeLayout: 'halves',
    ropeBase: getNumber(meta, 'gptneox.rope.freq_base') ?? DEFAULT_ROPE_BASE,
    ropeDim: getCount(meta, 'gptneox.rope.dimension_count') ?? sizes.headDim,
    ropeScaling: { kind: 'none' },
  });
}

/**
 * The config of a Hugging Face folder whose model_type is "gpt_neox".
 *
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/gpt_neox/configuration_gpt_neox.py.
 */
export function gptNeoxConfigFromHf(config: JsonObject): GptNeoxConfig {
  refuseHfKeys(config, ['use_parallel_residual']);
  refuse(config, 'attention_bias', [true], 'GPT-NeoX');
  refuse(config, 'use_parallel_residual', [true, false], 'GPT-NeoX');
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  const headDim = Math.floor(dim / nHeads);
  // transformers 5 moved rotary_pct and rotary_emb_base into the rope's object.
  const rope = ropeObject(config);
  const share =
    (rope && optionalNumber(rope, 'partial_rotary_factor')) ??
    optionalNumber(config, 'rotary_pct') ??
    DEFAULT_ROPE_SHARE;
  return checkGptNeox({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: number(config, 'intermediate_size'),
    nLayers: number(config, 'num_hidden_layers'),
    nHeads,
    nKvHeads: nHeads,
    headDim,
    maxContext: number(config, 'max_position_embeddings'),
    normEps: optionalNumber(config, 'layer_norm_eps') ?? DEFAULT_NORM_EPS,
    activation: geluFormOf(config, 'hidden_act', 'gelu'),
    isParallel: config['use_parallel_residual'] !== false,
    ropeLayout: 'halves',
    ropeBase: ropeBaseOf(config, optionalNumber(config, 'rotary_emb_base') ?? DEFAULT_ROPE_BASE),
    ropeDim: Math.floor(headDim * share),
    ropeScaling: ropeScalingOf(config),
  });
}

function checkGptNeox(config: GptNeoxConfig): GptNeoxConfig {
  if (config.nKvHeads !== config.nHeads) {
    throw new UnsupportedError(
      `gptneox.attention.head_count_kv is ${config.nKvHeads}; GPT-NeoX has one for each of its ${config.nHeads} heads`,
    );
  }
  checkGptConfig(config);
  checkRope(config, config.headDim);
  return config;
}
