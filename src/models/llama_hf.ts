import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { maxContextOf, number, optionalNumber, refuse, ropeBaseOf, ropeObject, ropeScalingOf } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';

/** What transformers leaves out of config.json since its class for the architecture says so. */
export interface HfDefaults {
  readonly ropeBase: number;
  readonly normEps: number;
  /** undefined: dim / nHeads. */
  readonly headDim: number | undefined;
}

const LLAMA_DEFAULTS: HfDefaults = { ropeBase: 10000, normEps: 1e-6, headDim: undefined };

/** Of transformers' MistralConfig: a window that is missing is this one, and one that is null is none. */
const MISTRAL_CONFIG = { sliding_window: 4096 } as const;

/** transformers does not read the key in other types of this family. */
const WINDOWED = ['mistral', 'mixtral'] as const;

/**
 * The config of a Hugging Face folder whose model_type is "llama" or "mistral". RoPE rotates halves there.
 *
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/llama/configuration_llama.py.
 */
export function llamaConfigFromHf(config: JsonObject): LlamaConfig {
  refuse(config, 'attention_bias', [false], 'the Llama family');
  refuse(config, 'mlp_bias', [false], 'the Llama family');
  const missing = config['model_type'] === 'mistral' ? MISTRAL_CONFIG : {};
  const windowed = withWindow(plainConfigFromHf(config, 'the Llama family'), { ...missing, ...config });
  if (windowed.window !== undefined && !WINDOWED.some((type) => type === config['model_type'])) {
    throw new UnsupportedError(
      `config.json: sliding_window is ${windowed.window}; of the Llama family ${WINDOWED.join(' and ')} have one`,
    );
  }
  return windowed;
}

/** The same for a relative whose graph has no scales, caps and kinds of attention of its own: settings of them are refused. */
export function plainConfigFromHf(config: JsonObject, family: string, defaults: Partial<HfDefaults> = {}): LlamaConfig {
  refuseHfKeys(config);
  return commonConfigFromHf(config, family, defaults);
}

/**
 * The fields whose names and defaults the Llama family's relatives share. family: what messages call it.
 * Throws as llamaConfigFromHf does.
 */
export function commonConfigFromHf(
  config: JsonObject,
  family: string,
  defaults: Partial<HfDefaults> = {},
): LlamaConfig {
  const { ropeBase, normEps, headDim: fixedDim } = { ...LLAMA_DEFAULTS, ...defaults };
  refuse(config, 'hidden_act', ['silu'], family);
  refuseOtherLayers(config);
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  const headDim = optionalNumber(config, 'head_dim') ?? fixedDim ?? Math.floor(dim / nHeads);
  const ropeScaling = ropeScalingOf(config);
  return checkConfig({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: number(config, 'intermediate_size'),
    nLayers: number(config, 'num_hidden_layers'),
    nHeads,
    nKvHeads: optionalNumber(config, 'num_key_value_heads') ?? nHeads,
    headDim,
    maxContext: maxContextOf(config, ropeScaling),
    normEps: optionalNumber(config, 'rms_norm_eps') ?? normEps,
    ropeLayout: 'halves',
    ropeBase: ropeBaseOf(config, ropeBase),
    ropeDim: turnedDim(config, headDim),
    ropeScaling,
  });
}

/** With the window that all layers look back over, where there is one that ends before the context does. */
export function withWindow(common: LlamaConfig, config: JsonObject): LlamaConfig {
  const window = optionalNumber(config, 'sliding_window');
  return window === undefined || window >= common.maxContext ? common : checkConfig({ ...common, window });
}

/** Some checkpoints have windows in part of their layers, switched off: then the other keys about them mean nothing. */
export function refuseWindows(config: JsonObject): void {
  if (config['use_sliding_window'] === true) {
    throw new UnsupportedError(
      'config.json: use_sliding_window is true; windows of this family cannot be run; with false, all rows are seen',
    );
  }
}

/** Throws UnsupportedError when some layers are of another kind than the rest, e.g. look back over a window. */
function refuseOtherLayers(config: JsonObject): void {
  const kinds = config['layer_types'] ?? [];
  if (!Array.isArray(kinds)) {
    throw new ConfigError(`config.json: layer_types is ${JSON.stringify(kinds)}, expected an array`);
  }
  const other = kinds.find((kind) => kind !== 'full_attention');
  if (other !== undefined) {
    throw new UnsupportedError(
      `config.json: layer_types has ${JSON.stringify(other)}; this architecture is run with full_attention alone`,
    );
  }
}

/** Elements of a head that turn: a share of them, rounded down. */
function turnedDim(config: JsonObject, headDim: number): number {
  const rope = ropeObject(config);
  const share =
    (rope && optionalNumber(rope, 'partial_rotary_factor')) ?? optionalNumber(config, 'partial_rotary_factor') ?? 1;
  return Math.floor(headDim * share);
}
