import { ConfigError } from '../core/errors.ts';
import { getCount, getNumber, type Metadata, needNumber } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkConfig, type LlamaConfig } from './config.ts';
import { needPositive } from './config_checks.ts';
import { number, optionalNumber, optionalObject, refuse } from './hf_config.ts';
import { localLayers } from './layer_windows.ts';
import { commonConfigFromGguf } from './llama_gguf.ts';
import { commonConfigFromHf } from './llama_hf.ts';
import { refuseGgufKeys, refuseHfKeys } from './refused_keys.ts';

/** Everything that decides the graph of a Gemma; `ropeBase`, `ropeScaling` and no window are those of its global layers. */
export interface GemmaConfig extends LlamaConfig {
  readonly generation: Generation;
  /** For each layer, whether it sees `window` positions back only, and turns by the angles of localRopeBase, unscaled. */
  readonly isLocal: readonly boolean[];
  readonly localRopeBase: number;
  /** What products of q and k are multiplied with. */
  readonly queryScale: number;
  /** What scores, and logits, are held under, where they are. */
  readonly attentionCap: number | undefined;
  readonly logitCap: number | undefined;
}

export type Generation = 1 | 2 | 3;

/** What no file says, since its program knows it. */
interface Constants {
  /** Of so many layers, the last one is global; 1: all are. Gemma Team 2024, "Gemma 2", 2; 2025, "Gemma 3", 2.1. */
  readonly period: number;
  readonly ropeBase: number;
  /** Of local layers, where it is another one. */
  readonly localRopeBase: number | undefined;
  /**
   * Layers of the 27B model: there products are scaled by 1 / sqrt(dim / nHeads), elsewhere by 1 / sqrt(headDim), and GGUF has
   * no key for it. Source: llama.cpp, f_attention_scale; google/gemma_pytorch, config.py.
   */
  readonly layersOf27B: number | undefined;
}

const CONSTANTS: Readonly<Record<Generation, Constants>> = {
  1: { period: 1, ropeBase: 10000, localRopeBase: undefined, layersOf27B: undefined },
  2: { period: 2, ropeBase: 10000, localRopeBase: undefined, layersOf27B: 46 },
  3: { period: 6, ropeBase: 1e6, localRopeBase: 10000, layersOf27B: 62 },
};

/** Of transformers' configs of all three. */
const HF_HEAD_DIM = 256;

/** Settings that other families refuse, and Gemma has. */
const CAPS = ['attn_logit_softcapping', 'final_logit_softcapping'] as const;

/** Of transformers' Gemma2Config: a cap that is missing is this one, and one that is null is none. */
const GEMMA2_CONFIG = { attn_logit_softcapping: 50, final_logit_softcapping: 30 } as const;

/** What the text_config of a Gemma 3 that sees leaves out, since transformers' Gemma3TextConfig says so. */
const TEXT_CONFIG = {
  vocab_size: 262208,
  num_attention_heads: 8,
  num_key_value_heads: 4,
  max_position_embeddings: 131072,
  query_pre_attn_scalar: 256,
} as const;

/** The settings of the half that reads and writes text: in a model that sees, an object of their own. */
export function textConfigOf(config: JsonObject): JsonObject {
  const text = optionalObject(config, 'text_config');
  if (config['model_type'] !== 'gemma3') return config;
  if (text === undefined) throw new ConfigError('config.json: text_config is missing, which a gemma3 model has');
  return { ...TEXT_CONFIG, ...text };
}

/**
 * The config of a GGUF file of architecture "gemma", "gemma2" or "gemma3".
 * Throws ConfigError for a key that is missing, of another type or out of range; UnsupportedError for a variant by name.
 */
export function gemmaConfigFromGguf(meta: Metadata, generation: Generation): GemmaConfig {
  const architecture = generation === 1 ? 'gemma' : `gemma${generation}`;
  const key = (name: string): string => `${architecture}.${name}`;
  refuseGgufKeys(meta, architecture, CAPS);
  const { period: usualPeriod, layersOf27B, localRopeBase } = CONSTANTS[generation];
  const common = commonConfigFromGguf(meta, architecture, 'halves', undefined);
  if (generation > 1) needNumber(meta, key('attention.sliding_window')); // `common` has it, where it is in effect
  const period = getCount(meta, key('attention.sliding_window_pattern')) ?? usualPeriod;
  const { dim, nHeads, nLayers, headDim, ropeBase } = common;
  const cap = generation === 2 ? needNumber : getNumber; // Gemma 2 never goes without
  return checked({
    ...common,
    generation,
    isLocal: allButEvery(period, nLayers),
    localRopeBase: getNumber(meta, key('rope.freq_base_swa')) ?? localRopeBase ?? ropeBase,
    queryScale: 1 / Math.sqrt(nLayers === layersOf27B ? Math.floor(dim / nHeads) : headDim),
    // 0 is how a file says that there is none.
    attentionCap: cap(meta, key('attn_logit_softcapping')) || undefined,
    logitCap: cap(meta, key('final_logit_softcapping')) || undefined,
  });
}

/**
 * The config of a folder whose model_type is "gemma", "gemma2" or "gemma3_text". Throws as gemmaConfigFromGguf.
 * Source: transformers, models/gemma{,2,3}/configuration_gemma*.py.
 */
export function gemmaConfigFromHf(stated: JsonObject, generation: Generation): GemmaConfig {
  const config = generation === 2 ? { ...GEMMA2_CONFIG, ...stated } : stated;
  refuseHfKeys(config, [...CAPS, 'query_pre_attn_scalar']);
  const family = `Gemma ${generation}`;
  // What Gemma has in its own way is taken out of what it shares with the Llama family.
  const { hidden_act, hidden_activation, layer_types, rope_parameters, ...shared } = config;
  refuse(config, 'attention_bias', [false], family);
  refuse({ act: hidden_activation ?? actOf(hidden_act, generation) }, 'act', ['gelu_pytorch_tanh'], family);
  refuse(config, 'use_bidirectional_attention', [false], family);
  const { ropeBase, localRopeBase, period: usualPeriod } = CONSTANTS[generation];
  const rope = ropesOf(rope_parameters);
  const common = commonConfigFromHf({ ...shared, ...rope.global }, family, { ropeBase, headDim: HF_HEAD_DIM });
  const localBase = rope.localBase ?? optionalNumber(config, 'rope_local_base_freq');
  const period = (generation === 3 ? optionalNumber(config, 'sliding_window_pattern') : undefined) ?? usualPeriod;
  const isLocal = layer_types == null ? allButEvery(period, common.nLayers) : localLayers(layer_types, common.nLayers);
  const window = isLocal.includes(true) ? number(config, 'sliding_window') : common.maxContext;
  return checked({
    ...common,
    ...(window < common.maxContext && { window }),
    generation,
    isLocal,
    localRopeBase: localRopeBase === undefined ? common.ropeBase : (localBase ?? localRopeBase),
    queryScale: 1 / Math.sqrt(generation === 1 ? common.headDim : number(config, 'query_pre_attn_scalar')),
    attentionCap: optionalNumber(config, 'attn_logit_softcapping') || undefined,
    logitCap: optionalNumber(config, 'final_logit_softcapping') || undefined,
  });
}

/** Gemma's first files say gelu, and mean the tanh form: transformers reads hidden_activation, and takes that where it is missing. */
function actOf(act: unknown, generation: Generation): string | undefined {
  return act === undefined || act === null || (generation === 1 && act === 'gelu') ? undefined : String(act);
}

/** transformers 5 has the rope's settings by the kind of layer; before, and in Gemma 1 and 2, they are those of global layers. */
function ropesOf(parameters: unknown): { global: JsonObject; localBase: number | undefined } {
  const all = optionalObject({ rope_parameters: parameters as never }, 'rope_parameters');
  if (all === undefined) return { global: {}, localBase: undefined };
  const full = optionalObject(all, 'full_attention');
  if (full === undefined) return { global: { rope_parameters: all }, localBase: undefined };
  const local = optionalObject(all, 'sliding_attention') ?? {};
  refuse(local, 'rope_type', ['default'], 'a local layer');
  return { global: { rope_parameters: full }, localBase: optionalNumber(local, 'rope_theta') };
}

/** false for every `period`-th layer; where it is 1, for all. */
function allButEvery(period: number, nLayers: number): boolean[] {
  if (!(Number.isInteger(period) && period >= 1)) {
    throw new ConfigError(`model config: every ${period}th layer is global; expected a positive integer`);
  }
  return Array.from({ length: nLayers }, (_, layer) => (layer + 1) % period !== 0);
}

function checked(config: GemmaConfig): GemmaConfig {
  checkConfig(config);
  needPositive('rope base of local layers', config.localRopeBase);
  needPositive('scale of queries', config.queryScale);
  if (config.attentionCap !== undefined) needPositive('attn_logit_softcapping', config.attentionCap);
  if (config.logitCap !== undefined) needPositive('final_logit_softcapping', config.logitCap);
  return config;
}
