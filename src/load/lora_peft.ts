import { ConfigError, ShapeError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject, JsonValue } from './json_file.ts';
import { checkAlpha, type LoraFile, type LoraPart, loraPairs, rankOf } from './lora.ts';
import type { ModelFile } from './model_file.ts';
import { quote } from './quote.ts';

/** The files of a folder that PEFT writes. */
export const PEFT_CONFIG = 'adapter_config.json';
export const PEFT_WEIGHTS = 'adapter_model.safetensors';

/** Keys that are read below. */
const READ_KEYS: readonly string[] = ['peft_type', 'r', 'lora_alpha', 'use_rslora', 'rank_pattern', 'bias'];

/** Keys that speak of training, of where the adapter comes from, or of what the tensors' names and shapes say by themselves. */
const INERT_KEYS: readonly string[] = [
  'auto_mapping',
  'base_model_name_or_path',
  'corda_config',
  'eva_config',
  'exclude_modules',
  'fan_in_fan_out',
  'inference_mode',
  'layers_pattern',
  'layers_to_transform',
  'loftq_config',
  'lora_dropout',
  'megatron_core',
  'peft_version',
  'qalora_group_size',
  'revision',
  'runtime_config',
  'target_modules',
  'task_type',
];

/** Ways to begin that change no weight of the model. Others (pissa, olora, loftq) train beside a changed one, which PEFT makes anew. */
const PLAIN_STARTS: readonly (JsonValue | undefined)[] = [
  undefined,
  null,
  true,
  false,
  'gaussian',
  'eva',
  'orthogonal',
];

/** What PEFT puts before every name, and the halves of a pair. Source: peft, utils/save_and_load.py. */
const PART = /^base_model\.model\.(.+)\.lora_([AB])(?:\.default)?\.weight$/;

/**
 * A folder of PEFT: adapter_config.json, and tensors such as base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight.
 * Throws ConfigError for a config that lacks something, UnsupportedError naming what is not LoRA alone (DoRA, biases,
 * modules_to_save, any key with a value that is not known), ShapeError for a rank other than the config's.
 */
export function loraOfPeft(config: JsonObject, file: ModelFile): LoraFile {
  const { name } = file;
  const where = `${name}: ${PEFT_CONFIG}`;
  if (config['peft_type'] !== 'LORA') {
    throw new UnsupportedError(`${where}: peft_type is ${JSON.stringify(config['peft_type'])}; known is "LORA"`);
  }
  if ((config['bias'] ?? 'none') !== 'none') {
    throw new UnsupportedError(`${where}: bias is ${JSON.stringify(config['bias'])}; only "none" can be run`);
  }
  const start = config['init_lora_weights'];
  if (!PLAIN_STARTS.includes(start)) {
    throw new UnsupportedError(
      `${where}: init_lora_weights is ${JSON.stringify(start)}, which changes the model's own weights; convert it to plain LoRA with PEFT`,
    );
  }
  for (const [key, value] of Object.entries(config)) {
    if (READ_KEYS.includes(key) || INERT_KEYS.includes(key) || key === 'init_lora_weights' || saysNothing(value))
      continue;
    throw new UnsupportedError(`${where}: ${key} is ${JSON.stringify(value)}, which cannot be run`);
  }
  const [rank, alpha] = [needed(where, config, 'r'), needed(where, config, 'lora_alpha')];
  checkAlpha(name, 'lora_alpha', alpha);
  const pairs = loraPairs(name, file.tensors, partOf);
  for (const [weight, pair] of saysNothing(config['rank_pattern']) ? pairs : []) {
    if (rankOf(pair) === rank) continue;
    throw new ShapeError(
      `${name}: ${quote(weight)} has rank ${rankOf(pair)}, ${PEFT_CONFIG} says r = ${rank} and has no rank_pattern`,
    );
  }
  const isRootScaled = config['use_rslora'] ?? false;
  if (typeof isRootScaled !== 'boolean') {
    throw new ConfigError(`${where}: use_rslora is ${JSON.stringify(isRootScaled)}, must be true or false`);
  }
  return {
    name,
    format: 'safetensors',
    architecture: undefined,
    pairs,
    scaleOf: (of) => alpha / (isRootScaled ? Math.sqrt(of) : of),
  };
}

/** Also of ranks that differ by module, whose number is then their matrices' own. */
function needed(where: string, config: JsonObject, key: string): number {
  const value = config[key];
  if (typeof value === 'number') return value;
  throw new ConfigError(`${where}: ${key} is ${JSON.stringify(value)}, must be a number`);
}

/** A switch that is off, or a list or table with nothing in it. */
function saysNothing(value: JsonValue | undefined): boolean {
  if (value === undefined || value === null || value === false) return true;
  return typeof value === 'object' && Object.keys(value).length === 0;
}

function partOf(tensor: string): LoraPart | null {
  const [, module, part] = PART.exec(tensor) ?? [];
  return module === undefined ? null : { weight: `${module}.weight`, part: part === 'A' ? 'a' : 'b' };
}
