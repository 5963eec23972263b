import { UnsupportedError } from '../core/errors.ts';
import { getCount, getNumber, type Metadata, needCount, needNumber } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { need, needPositive } from './config_checks.ts';
import type { EncoderConfig } from './encoder.ts';
import { checkEncoder, encoderConfigFromGguf } from './encoder_config.ts';
import { number, optionalNumber, optionalObject, refuse } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';
import { refuseGgufRopeScaling } from './rope_gguf.ts';

export interface ModernBertConfig extends EncoderConfig {
  readonly globalRopeBase: number;
  readonly localRopeBase: number;
  /** Layers 0, n, 2n, ... see all rows. */
  readonly globalEvery: number;
  /** In other layers a row sees those less than so many positions away. */
  readonly window: number;
}

export function isGlobal({ globalEvery }: ModernBertConfig, layer: number): boolean {
  return layer % globalEvery === 0;
}

/** What the files of published models leave out. Source: llama.cpp src/models/modern-bert.cpp. */
const DEFAULT_GLOBAL_EVERY = 3;

/** Keys `modern-bert.*`. Throws as encoderConfigFromGguf does. */
export function modernBertConfigFromGguf(meta: Metadata): ModernBertConfig {
  const key = (name: string): string => `modern-bert.${name}`;
  refuseGgufRopeScaling(meta, 'modern-bert');
  const globalRopeBase = needNumber(meta, key('rope.freq_base'));
  return checked({
    ...encoderConfigFromGguf(meta, 'modern-bert'),
    globalRopeBase,
    localRopeBase: getNumber(meta, key('rope.freq_base_swa')) ?? globalRopeBase,
    globalEvery: getCount(meta, key('attention.sliding_window_pattern')) ?? DEFAULT_GLOBAL_EVERY,
    window: windowOf(needCount(meta, key('attention.sliding_window'))),
  });
}

/**
 * config.json of ModernBERT.
 * Throws ConfigError for a field that is missing or out of range, UnsupportedError for a variant by name.
 * Source: transformers, models/modernbert/configuration_modernbert.py.
 */
export function modernBertConfigFromHf(config: JsonObject): ModernBertConfig {
  const family = 'modernbert';
  refuseHfKeys(config);
  refuse(config, 'hidden_activation', ['gelu'], family);
  for (const key of ['norm_bias', 'attention_bias', 'mlp_bias']) refuse(config, key, [false], family);
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  const nLayers = number(config, 'num_hidden_layers');
  const globalEvery = number(config, 'global_attn_every_n_layers');
  checkLayerTypes(config, globalEvery);
  const bases = ropeBases(config);
  return checked(
    checkEncoder({
      vocab: number(config, 'vocab_size'),
      dim,
      hiddenDim: number(config, 'intermediate_size'),
      nLayers,
      nHeads,
      headDim: dim / nHeads,
      maxContext: number(config, 'max_position_embeddings'),
      normEps: number(config, 'norm_eps'),
      ...bases,
      globalEvery,
      window: windowOf(number(config, 'local_attention')),
    }),
  );
}

/** local_attention is the width of the whole window: half of it to each side, and the row itself. */
function windowOf(width: number): number {
  return Math.floor(width / 2) + 1;
}

/** Two fields, or since transformers 5 an object for each kind of layer. */
function ropeBases(config: JsonObject): { globalRopeBase: number; localRopeBase: number } {
  const both = optionalObject(config, 'rope_parameters');
  if (both === undefined) {
    const globalRopeBase = number(config, 'global_rope_theta');
    return { globalRopeBase, localRopeBase: optionalNumber(config, 'local_rope_theta') ?? globalRopeBase };
  }
  const baseOf = (kind: string): number => {
    const rope = optionalObject(both, kind) ?? {};
    refuse(rope, 'rope_type', ['default'], 'modernbert');
    return number(rope, 'rope_theta');
  };
  return { globalRopeBase: baseOf('full_attention'), localRopeBase: baseOf('sliding_attention') };
}

/** The newer way to say which layers are which must say the same. */
function checkLayerTypes(config: JsonObject, globalEvery: number): void {
  const types = config['layer_types'];
  if (!Array.isArray(types)) return;
  const other = types.findIndex((type, i) => (type === 'full_attention') !== (i % globalEvery === 0));
  if (other < 0) return;
  throw new UnsupportedError(
    `config.json: layer_types[${other}] is ${JSON.stringify(types[other])}; modernbert is run with full_attention every ${globalEvery} layers`,
  );
}

function checked(config: ModernBertConfig): ModernBertConfig {
  needPositive('globalRopeBase', config.globalRopeBase);
  needPositive('localRopeBase', config.localRopeBase);
  for (const key of ['globalEvery', 'window'] as const) {
    need(key, config[key], Number.isInteger(config[key]) && config[key] >= 1, 'an integer from 1');
  }
  need('headDim', config.headDim, config.headDim % 2 === 0, 'even, since pairs of its elements turn');
  return config;
}
