import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { type Metadata, needCount } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { ExpertGroups } from '../ops/choose_experts.ts';
import { need, needSize } from './config_checks.ts';
import { number } from './hf_config.ts';

/** What a feed-forward of experts is made of. */
export interface ExpertsConfig {
  readonly nExperts: number;
  /** How many of them a row uses. */
  readonly nChosen: number;
  /** Of one expert. */
  readonly hiddenDim: number;
  readonly scoring: 'softmax' | 'sigmoid';
  /** A weight for each expert is over the sum of those chosen. */
  readonly isNormalized: boolean;
  /** Times this. */
  readonly scale: number;
  readonly groups?: ExpertGroups;
}

/** Routers have one output for each expert; published models have at most some hundreds. */
const MAX_EXPERTS = 1 << 16;

/** Throws ConfigError naming the first field that cannot be; returns the config. */
export function checkExperts(experts: ExpertsConfig): ExpertsConfig {
  const { nExperts, nChosen, hiddenDim, scale } = experts;
  needSize('nExperts', nExperts, MAX_EXPERTS);
  needSize('experts of a row', nChosen, nExperts);
  needSize('hiddenDim of an expert', hiddenDim, 1 << 24);
  need('scale of experts', scale, Number.isFinite(scale) && scale > 0, 'a positive number');
  return experts;
}

/**
 * A softmax over the router's scores, whose chosen ones are normalized in Mixtral and Qwen 3, and are not in Qwen 2. From GGUF keys
 * `<architecture>.expert_*`. hiddenDim: of one expert. own: further keys that the architecture reads.
 * Throws ConfigError for a key that is missing or out of range, UnsupportedError for one that would change the result.
 */
export function softmaxExpertsFromGguf(
  meta: Metadata,
  architecture: string,
  hiddenDim: number,
  isNormalized = true,
  own: readonly string[] = [],
): ExpertsConfig {
  const prefix = `${architecture}.expert_`;
  for (const [key, value] of meta) {
    const name = key.slice(prefix.length);
    if (!key.startsWith(prefix) || own.includes(name) || isKnown(name, value, isNormalized)) continue;
    throw new UnsupportedError(
      `${key} is ${JSON.stringify(value)}: experts of ${architecture} files are run without it; the model is a variant`,
    );
  }
  return checkExperts({
    nExperts: needCount(meta, `${prefix}count`),
    nChosen: needCount(meta, `${prefix}used_count`),
    hiddenDim,
    scoring: 'softmax',
    isNormalized,
    scale: 1,
  });
}

/** Keys that are read, and those that say what is done anyway. */
function isKnown(key: string, value: unknown, isNormalized: boolean): boolean {
  switch (key) {
    case 'count':
    case 'used_count':
    case 'feed_forward_length':
      return true;
    case 'weights_norm':
      return value === isNormalized;
    case 'gating_func':
      return value === SOFTMAX_GATING;
    case 'weights_scale':
      return value === 1 || value === 0;
    default:
      return value === 0;
  }
}

/** llama.cpp's number for a softmax over the router's scores. Source: llama-hparams.h, llama_expert_gating_func_type. */
const SOFTMAX_GATING = 1;

/** The same from config.json; keys: what this architecture calls them. */
export function softmaxExpertsFromHf(
  config: JsonObject,
  keys: { readonly nExperts: string; readonly hiddenDim: string },
  isNormalized: boolean,
): ExpertsConfig {
  return checkExperts({
    nExperts: number(config, keys.nExperts),
    nChosen: number(config, 'num_experts_per_tok'),
    hiddenDim: number(config, keys.hiddenDim),
    scoring: 'softmax',
    isNormalized,
    scale: 1,
  });
}

/** A yes or no, `byDefault` where it is missing. Throws ConfigError for another type. */
export function optionalBool(config: JsonObject, key: string, byDefault: boolean): boolean {
  const value = config[key] ?? byDefault;
  if (typeof value === 'boolean') return value;
  throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected true or false`);
}

/** One line for "inspect". */
export function expertsFact(e: ExpertsConfig): readonly [string, string] {
  const rule = `${e.scoring}, ${e.isNormalized ? 'normalized' : 'as they are'}`;
  const groups = e.groups === undefined ? '' : `, from ${e.groups.chosen} of ${e.groups.count} groups`;
  const scale = e.scale === 1 ? '' : `, times ${e.scale}`;
  return ['experts', `${e.nChosen} of ${e.nExperts}${groups}, each ${e.hiddenDim} wide; ${rule}${scale}`];
}
