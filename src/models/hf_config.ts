import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { longRopeMagnitude, yarnMagnitude } from '../ops/rope_scaling.ts';
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

/**
 * The scaling of a config.json.
 * Throws UnsupportedError for a kind that is not known, ConfigError for what is missing or of another type.
 * Source: transformers, modeling_rope_utils.py.
 */
export function ropeScalingOf(config: JsonObject): RopeScaling {
  const rope = ropeObject(config);
  const kind = rope?.['rope_type'] ?? rope?.['type'] ?? 'default';
  if (rope === undefined || kind === 'default') return { kind: 'none' };
  switch (kind) {
    case 'linear':
      return { kind: 'linear', factor: number(rope, 'factor') };
    case 'llama3':
      return {
        kind: 'llama3',
        factor: number(rope, 'factor'),
        lowFreqFactor: number(rope, 'low_freq_factor'),
        highFreqFactor: number(rope, 'high_freq_factor'),
        originalContext: number(rope, 'original_max_position_embeddings'),
      };
    case 'dynamic':
      return { kind: 'dynamic', factor: number(rope, 'factor'), originalContext: originalContextOf(config, rope) };
    case 'yarn':
      return yarnOf(config, rope);
    case 'longrope':
    case 'su': // its first name
      return longRopeOf(config, rope);
    default:
      throw new UnsupportedError(
        `config.json: rope type is ${JSON.stringify(kind)}; known are default, linear, llama3, dynamic, yarn and longrope`,
      );
  }
}

/** Positions of the first training: among the rope's settings, or beside them, or what the model says of itself. */
function originalContextOf(config: JsonObject, rope: JsonObject): number {
  const key = 'original_max_position_embeddings';
  return optionalNumber(rope, key) ?? optionalNumber(config, key) ?? number(config, 'max_position_embeddings');
}

const YARN_BETA_FAST = 32;
const YARN_BETA_SLOW = 1;

function yarnOf(config: JsonObject, rope: JsonObject): RopeScaling {
  refuse(rope, 'truncate', [true], 'yarn');
  const factor = number(rope, 'factor');
  const mscale = optionalNumber(rope, 'mscale');
  const mscaleAllDim = optionalNumber(rope, 'mscale_all_dim');
  const byDefault =
    mscale && mscaleAllDim
      ? yarnMagnitude(factor, mscale) / yarnMagnitude(factor, mscaleAllDim)
      : yarnMagnitude(factor);
  return {
    kind: 'yarn',
    factor,
    originalContext: originalContextOf(config, rope),
    betaFast: optionalNumber(rope, 'beta_fast') ?? YARN_BETA_FAST,
    betaSlow: optionalNumber(rope, 'beta_slow') ?? YARN_BETA_SLOW,
    magnitude: optionalNumber(rope, 'attention_factor') ?? byDefault,
  };
}

function longRopeOf(config: JsonObject, rope: JsonObject): RopeScaling {
  const originalContext = originalContextOf(config, rope);
  return {
    kind: 'longrope',
    short: numbers(rope, 'short_factor'),
    long: numbers(rope, 'long_factor'),
    originalContext,
    magnitude:
      optionalNumber(rope, 'attention_factor') ??
      longRopeMagnitude(number(config, 'max_position_embeddings'), originalContext),
  };
}

/** Positions that the model can be run with: a scaling by a factor may reach beyond what max_position_embeddings says. */
export function maxContextOf(config: JsonObject, scaling: RopeScaling): number {
  const stated = number(config, 'max_position_embeddings');
  const isStretched = scaling.kind === 'yarn' || scaling.kind === 'dynamic';
  return isStretched ? Math.max(stated, Math.floor(scaling.factor * scaling.originalContext)) : stated;
}

/** Throws ConfigError where it is missing, or of another type. */
function numbers(config: JsonObject, key: string): number[] {
  const value = config[key];
  if (Array.isArray(value) && value.every((element) => typeof element === 'number')) return value as number[];
  throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected an array of numbers`);
}
