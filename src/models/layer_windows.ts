import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from '../load/json_file.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { optionalBool } from './experts_config.ts';
import { number } from './hf_config.ts';
import { type HfDefaults, plainConfigFromHf } from './llama_hf.ts';

/** A config in which some layers look back over the window and the others see everything. */
export interface WindowedConfig extends LlamaConfig {
  /** For each layer, whether it has the window; missing: none has. */
  readonly isLocal?: readonly boolean[];
}

/** Of transformers' Qwen2Config and Qwen3Config. */
const QWEN_WINDOWS = { sliding_window: 4096, max_window_layers: 28 } as const;

/**
 * The config of a Qwen 2 or 3 folder. With use_sliding_window, the layers from max_window_layers on have the window, or those that
 * layer_types names.
 *
 * Throws as plainConfigFromHf does; ConfigError for windows without a size.
 * Source: transformers, models/qwen2/configuration_qwen2.py.
 */
export function qwenConfigFromHf(
  config: JsonObject,
  family: string,
  defaults: Partial<HfDefaults> = {},
): WindowedConfig {
  if (!optionalBool(config, 'use_sliding_window', false)) return plainConfigFromHf(config, family, defaults);
  const { layer_types, ...shared } = config;
  const common = plainConfigFromHf(shared, family, defaults);
  const stated = { ...QWEN_WINDOWS, ...config };
  if (stated.sliding_window === null && layer_types == null) return common; // transformers has no windows then
  const first = number(stated, 'max_window_layers');
  const isLocal =
    layer_types == null
      ? Array.from({ length: common.nLayers }, (_, layer) => layer >= first)
      : localLayers(layer_types, common.nLayers);
  if (!isLocal.includes(true)) return common;
  const window = number(stated, 'sliding_window');
  return window >= common.maxContext ? common : checkConfig({ ...common, window, isLocal });
}

/** How many layers have the window. */
export function countLocal({ isLocal = [] }: WindowedConfig): number {
  return isLocal.filter((local) => local).length;
}

/** What a config.json says in layer_types. Throws ConfigError for another count of layers, UnsupportedError for another kind. */
export function localLayers(kinds: JsonValue, nLayers: number): boolean[] {
  if (!Array.isArray(kinds) || kinds.length !== nLayers) {
    throw new ConfigError(
      `config.json: layer_types is ${JSON.stringify(kinds)}, expected a kind for each of ${nLayers} layers`,
    );
  }
  const other = kinds.find((kind) => kind !== 'full_attention' && kind !== 'sliding_attention');
  if (other !== undefined) {
    throw new UnsupportedError(
      `config.json: layer_types has ${JSON.stringify(other)}; known are full_attention and sliding_attention`,
    );
  }
  return kinds.map((kind) => kind === 'sliding_attention');
}
