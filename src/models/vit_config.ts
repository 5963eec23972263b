import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { refuseHfKeys } from './refused_keys.ts';

/** Everything that decides the graph of a vision transformer that classifies. */
export interface VitConfig {
  /** How tensor names begin. */
  readonly prefix: 'vit' | 'deit';
  readonly imageSize: number;
  readonly patchSize: number;
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly headDim: number;
  readonly normEps: number;
  /** The projections to q, k and v have biases. */
  readonly hasQkvBias: boolean;
  /** Rows in front of the patches: the class token, and DeiT's distillation token. */
  readonly nSpecial: number;
  /** By class. */
  readonly labels: readonly string[];
}

/** Sizes beyond these are no model but a damaged file. */
const MAX_SIZE = 1 << 20;
const MAX_PATCHES = 1 << 14;

/**
 * Reads config.json of ViTForImageClassification or DeiTForImageClassification.
 * Throws ConfigError for a field that is missing or has no sense, UnsupportedError for a variant, by name.
 * Source: transformers, models/vit/configuration_vit.py and models/deit/configuration_deit.py.
 */
export function vitConfigFromHf(config: JsonObject): VitConfig {
  const prefix = config['model_type'];
  if (prefix !== 'vit' && prefix !== 'deit') {
    throw new UnsupportedError(
      `config.json: model_type is ${JSON.stringify(prefix)}; image classifiers are run with vit, deit (a clip with loadClip)`,
    );
  }
  const architecture = (config['architectures'] as readonly string[] | undefined)?.[0];
  const known = prefix === 'vit' ? 'ViTForImageClassification' : 'DeiTForImageClassification';
  if (architecture !== known) {
    throw new UnsupportedError(
      `config.json: architecture is ${JSON.stringify(architecture)}; ${prefix} is run as ${known}`,
    );
  }
  refuseHfKeys(config);
  only(config, 'hidden_act', 'gelu');
  only(config, 'num_channels', 3);
  // Probabilities of labels that do not compete, and numbers that are no probabilities, are another head.
  only(config, 'problem_type', 'single_label_classification');
  const size = (key: string): number => {
    const value = config[key];
    if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SIZE) return value;
    throw new ConfigError(`config.json: ${key} is ${JSON.stringify(value)}, expected an integer from 1 to ${MAX_SIZE}`);
  };
  const [dim, nHeads, imageSize, patchSize] = ['hidden_size', 'num_attention_heads', 'image_size', 'patch_size'].map(
    size,
  ) as [number, number, number, number];
  if (dim % nHeads !== 0) throw new ConfigError(`config.json: hidden_size ${dim} is not a multiple of ${nHeads} heads`);
  if (imageSize % patchSize !== 0 || (imageSize / patchSize) ** 2 > MAX_PATCHES) {
    throw new ConfigError(
      `config.json: image_size ${imageSize} is not whole patches of ${patchSize}, or more than ${MAX_PATCHES} of them`,
    );
  }
  const eps = config['layer_norm_eps'];
  if (typeof eps !== 'number' || !(eps >= 0 && eps < 1)) {
    throw new ConfigError(`config.json: layer_norm_eps is ${JSON.stringify(eps)}, expected a number from 0 to 1`);
  }
  return {
    prefix,
    imageSize,
    patchSize,
    dim,
    hiddenDim: size('intermediate_size'),
    nLayers: size('num_hidden_layers'),
    nHeads,
    headDim: dim / nHeads,
    normEps: eps,
    hasQkvBias: config['qkv_bias'] !== false,
    nSpecial: prefix === 'deit' ? 2 : 1,
    labels: labelsOf(config),
  };
}

export type PatchGrid = Pick<VitConfig, 'imageSize' | 'patchSize' | 'nSpecial'>;

/** Rows of a run: special tokens and patches. */
export function nRowsOf({ imageSize, patchSize, nSpecial }: PatchGrid): number {
  return nSpecial + (imageSize / patchSize) ** 2;
}

/**
 * id2label, whose keys must be 0, 1, 2, ... Answers are told by labels, so where classes share one (ImageNet has two cranes) each
 * gets its number behind it.
 */
function labelsOf(config: JsonObject): string[] {
  const table = config['id2label'];
  if (typeof table !== 'object' || table === null || Array.isArray(table)) {
    throw new ConfigError('config.json: has no id2label, so the classes have no names');
  }
  const n = Object.keys(table).length;
  const labels = Array.from({ length: n }, (_, i) => (table as JsonObject)[String(i)]);
  const at = labels.findIndex((label) => typeof label !== 'string' || label === '');
  if (n === 0 || at >= 0) {
    throw new ConfigError(
      `config.json: label ${Math.max(at, 0)} of ${n} in id2label is ${JSON.stringify(labels[at])}, expected a name for each of 0, 1, 2, ...`,
    );
  }
  const counts = new Map<unknown, number>();
  for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
  return labels.map((label, i) => (counts.get(label) === 1 ? String(label) : `${String(label)} (${i})`));
}

/** A field that the graph knows with one value; a missing one has it (the class's default). */
function only(config: JsonObject, key: string, known: string | number): void {
  const value = config[key] ?? known;
  if (value !== known)
    throw new UnsupportedError(`config.json: ${key} is ${JSON.stringify(value)}; it is run with ${known}`);
}
