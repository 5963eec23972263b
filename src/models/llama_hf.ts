import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { checkConfig, type LlamaConfig, type RopeScaling } from './config.ts';

/** Defaults of transformers' LlamaConfig, which leaves them out of config.json. */
const DEFAULT_ROPE_BASE = 10000;
const DEFAULT_NORM_EPS = 1e-6;

/**
 * The config of a Hugging Face folder whose model_type is "llama" or "mistral". RoPE rotates halves there.
 *
 * Throws ConfigError for a field that is missing, of another type or out of range; UnsupportedError for a variant by name.
 * Source: transformers, models/llama/configuration_llama.py.
 */
export function llamaConfigFromHf(config: JsonObject): LlamaConfig {
  refuse(config, 'attention_bias', [false]);
  refuse(config, 'mlp_bias', [false]);
  refuse(config, 'hidden_act', ['silu']);
  const maxContext = number(config, 'max_position_embeddings');
  const window = config['sliding_window'];
  if (typeof window === 'number' && window < maxContext) {
    throw new UnsupportedError(`config.json: sliding_window is ${window}: sliding windows cannot be run yet`);
  }
  const dim = number(config, 'hidden_size');
  const nHeads = number(config, 'num_attention_heads');
  const headDim = optional(config, 'head_dim') ?? Math.floor(dim / nHeads);
  // transformers 5 moved rope_theta and rope_scaling into one object.
  const rope = object(config, 'rope_parameters') ?? object(config, 'rope_scaling');
  return checkConfig({
    vocab: number(config, 'vocab_size'),
    dim,
    hiddenDim: number(config, 'intermediate_size'),
    nLayers: number(config, 'num_hidden_layers'),
    nHeads,
    nKvHeads: optional(config, 'num_key_value_heads') ?? nHeads,
    headDim,
    maxContext,
    normEps: optional(config, 'rms_norm_eps') ?? DEFAULT_NORM_EPS,
    ropeLayout: 'halves',
    ropeBase: (rope && optional(rope, 'rope_theta')) ?? optional(config, 'rope_theta') ?? DEFAULT_ROPE_BASE,
    ropeDim: headDim,
    ropeScaling: rope === undefined ? { kind: 'none' } : ropeScaling(rope),
  });
}

function ropeScaling(rope: JsonObject): RopeScaling {
  const kind = rope['rope_type'] ?? rope['type'] ?? 'default';
  if (kind === 'default') return { kind: 'none' };
  if (kind === 'linear') return { kind: 'linear', factor: number(rope, 'factor') };
  if (kind === 'llama3') {
    return {
      kind: 'llama3',
      factor: number(rope, 'factor'),
      lowFreqFactor: number(rope, 'low_freq_factor'),
      highFreqFactor: number(rope, 'high_freq_factor'),
      originalContext: number(rope, 'original_max_position_embeddings'),
    };
  }
  throw new UnsupportedError(`config.json: rope type is ${JSON.stringify(kind)}; known are default, linear and llama3`);
}

/** A switch that the Llama graph knows only in some positions; a missing one has the first. */
function refuse(config: JsonObject, key: string, known: readonly (string | boolean)[]): void {
  const value = config[key] ?? known[0]!;
  if (!known.some((k) => k === value)) {
    throw new UnsupportedError(
      `config.json: ${key} is ${JSON.stringify(value)}; the Llama family is run with ${known.join(', ')}`,
    );
  }
}

function optional(config: JsonObject, key: string): number | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number')
    throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected a number`);
  return value;
}

function number(config: JsonObject, key: string): number {
  const value = optional(config, key);
  if (value === undefined)
    throw new ConfigError(`config.json: ${key} is missing, expected a number; the folder is not complete`);
  return value;
}

function object(config: JsonObject, key: string): JsonObject | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected an object`);
  }
  return value as JsonObject;
}
