import { UnsupportedError } from '../core/errors.ts';
import type { Metadata } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkGptConfig, type GptConfig, geluFormOf, gptSizesFromGguf } from './gpt_config.ts';
import { number, optionalNumber, refuse } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';

/** Default of transformers' GPT2Config, which leaves it out of config.json. */
const DEFAULT_NORM_EPS = 1e-5;

/**
 * The config of a GGUF file of architecture "gpt2". No key says the activation: GPT-2's is GELU by tanh.
 * Throws ConfigError for a key that is missing, of another type or out of range.
 */
export function gpt2ConfigFromGguf(meta: Metadata): GptConfig {
  return checkGpt2({ ...gptSizesFromGguf(meta, 'gpt2'), activation: 'gelu_tanh' });
}

/**
 * The config of a Hugging Face folder whose model_type is "gpt2".
 *
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/gpt2/configuration_gpt2.py.
 */
export function gpt2ConfigFromHf(config: JsonObject): GptConfig {
  refuseHfKeys(config);
  refuse(config, 'scale_attn_weights', [true], 'GPT-2');
  refuse(config, 'scale_attn_by_inverse_layer_idx', [false], 'GPT-2');
  refuse(config, 'add_cross_attention', [false], 'GPT-2');
  const dim = number(config, 'n_embd');
  const nHeads = number(config, 'n_head');
  return checkGpt2({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: optionalNumber(config, 'n_inner') ?? 4 * dim,
    nLayers: number(config, 'n_layer'),
    nHeads,
    nKvHeads: nHeads,
    headDim: Math.floor(dim / nHeads),
    maxContext: number(config, 'n_positions'),
    normEps: optionalNumber(config, 'layer_norm_epsilon') ?? DEFAULT_NORM_EPS,
    activation: geluFormOf(config, 'activation_function', 'gelu_new'),
  });
}

function checkGpt2(config: GptConfig): GptConfig {
  if (config.nKvHeads !== config.nHeads) {
    throw new UnsupportedError(
      `gpt2.attention.head_count_kv is ${config.nKvHeads}; GPT-2 has one for each of its ${config.nHeads} heads`,
    );
  }
  return checkGptConfig(config);
}
