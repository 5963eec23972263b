import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { RopeScaling } from './rope_config.ts';

/** A switch that the graph knows only in some positions; a missing one has the first. Throws UnsupportedError for others. */
export function refuse(config: JsonObject, key: string, known: readonly (string | boolean)[], family: string): void {
  const value = config[key] ?? known[0]!;
  if (!known.some((k) => k === value)) {
    throw new UnsupportedError(
      `config.json: ${key} is ${JSON.stringify(value)}; ${family} is run with ${known.join(', ')}`,
    );
  }
}

/** undefined where it is missing or null. Throws ConfigError for another type. */
export function optionalNumber(config: JsonObject, key: string): number | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'number')
    throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected a number`);
  return value;
}

/** Throws ConfigError where it is missing, or of another type. */
export function number(config: JsonObject, key: string): number {
  const value = optionalNumber(config, key);
  if (value === undefined)
    throw new ConfigError(`config.json: ${key} is missing, expected a number; the folder is not complete`);
  return value;
}

/** undefined where it is missing or null. Throws ConfigError for another type. */
export function optionalObject(config: JsonObject, key: string): JsonObject | undefined {
  const value = config[key];
  if (value === undefined || value === null) return undefined;
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected an object`);
  }
  return value as JsonObject;
}

/** The object with the rope's settings: transformers 5 moved rope_theta and rope_scaling into one. */
export function ropeObject(config: JsonObject): JsonObject | undefined {
  return optionalObject(config, 'rope_parameters') ?? optionalObject(config, 'rope_scaling');
}

export function ropeBaseOf(config: JsonObject, byDefault: number): number {
  const rope = ropeObject(config);
  return (rope && optionalNumber(rope, 'rope_theta')) ?? optionalNumber(config, 'rope_theta') ?? byDefault;
}

/** Throws UnsupportedError for a kind that is not known. Source: transformers, modeling_rope_utils.py. */
export function ropeScalingOf(config: JsonObject): RopeScaling {
  const rope = ropeObject(config);
  const kind = rope?.['rope_type'] ?? rope?.['type'] ?? 'default';
  if (rope === undefined || kind === 'default') return { kind: 'none' };
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
