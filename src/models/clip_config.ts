import { ConfigError, UnsupportedError } from '../core/errors.ts';
import type { JsonObject } from '../load/json_file.ts';
import { optionalNumber, optionalObject } from './hf_config.ts';
import { refuseHfKeys } from './refused_keys.ts';

/** Everything that decides the two graphs of a CLIP model, and how they meet. */
export interface ClipConfig {
  readonly text: ClipText;
  readonly vision: ClipVision;
  /** Numbers of a vector: both towers end in it. */
  readonly vectorDim: number;
}

/** What the towers have in common. */
export interface ClipTower {
  readonly dim: number;
  readonly hiddenDim: number;
  readonly nLayers: number;
  readonly nHeads: number;
  readonly headDim: number;
  readonly normEps: number;
  readonly activation: 'quick_gelu' | 'gelu';
}

export interface ClipText extends ClipTower {
  readonly vocab: number;
  /** Tokens of a text, start and end among them. */
  readonly maxContext: number;
  /** The token whose row is the text; 'largest': the token of the largest id, whichever it is. */
  readonly endId: number | 'largest';
}

export interface ClipVision extends ClipTower {
  readonly imageSize: number;
  readonly patchSize: number;
  /** Rows in front of the patches: the class token. */
  readonly nSpecial: 1;
}

/** Sizes beyond these are no model but a damaged file. */
const MAX_SIZE = 1 << 20;
const MAX_PATCHES = 1 << 14;

/** What the classes of transformers have where a file is silent: newer ones write only what differs. */
const TEXT_DEFAULTS: JsonObject = {
  vocab_size: 49408,
  hidden_size: 512,
  intermediate_size: 2048,
  num_hidden_layers: 12,
  num_attention_heads: 8,
  max_position_embeddings: 77,
  eos_token_id: 49407,
};
const VISION_DEFAULTS: JsonObject = {
  hidden_size: 768,
  intermediate_size: 3072,
  num_hidden_layers: 12,
  num_attention_heads: 12,
  image_size: 224,
  patch_size: 32,
};
const DEFAULT_EPS = 1e-5;
const DEFAULT_VECTOR_DIM = 512;

/**
 * Files written before the class knew its end token say 2, which is another token; transformers then takes the largest id, which
 * is the end token's in CLIP's own vocabulary.
 */
const OLD_END_ID = 2;

/**
 * Reads config.json of a CLIPModel.
 * Throws ConfigError for a field that has no sense, UnsupportedError for a variant, by name.
 * Source: transformers, models/clip/configuration_clip.py and modeling_clip.py (CLIPTextTransformer.forward for the end token).
 */
export function clipConfigFromHf(config: JsonObject): ClipConfig {
  const { model_type: type, architectures } = config;
  if (type !== 'clip') {
    throw new UnsupportedError(
      `config.json: model_type is ${JSON.stringify(type)}; labels that are not trained need a clip`,
    );
  }
  const architecture = Array.isArray(architectures) ? architectures[0] : undefined;
  if (architecture !== 'CLIPModel') {
    throw new UnsupportedError(
      `config.json: architecture is ${JSON.stringify(architecture)}; clip is run as CLIPModel, with both towers`,
    );
  }
  const text = { ...TEXT_DEFAULTS, ...partOf(config, 'text_config') };
  const vision = { ...VISION_DEFAULTS, ...partOf(config, 'vision_config') };
  for (const part of [config, text, vision]) refuseHfKeys(part);
  const nChannels = vision['num_channels'] ?? 3;
  if (nChannels !== 3) {
    throw new UnsupportedError(
      `config.json: num_channels of vision_config is ${JSON.stringify(nChannels)}; clip is run with 3`,
    );
  }
  const imageSize = size(vision, 'image_size', 'vision_config');
  const patchSize = size(vision, 'patch_size', 'vision_config');
  if (imageSize % patchSize !== 0 || (imageSize / patchSize) ** 2 > MAX_PATCHES) {
    throw new ConfigError(
      `config.json: image_size ${imageSize} is not whole patches of ${patchSize}, or more than ${MAX_PATCHES} of them`,
    );
  }
  const vocab = size(text, 'vocab_size', 'text_config');
  return {
    text: {
      ...towerOf(text, 'text_config'),
      vocab,
      maxContext: size(text, 'max_position_embeddings', 'text_config'),
      endId: endIdOf(text, vocab),
    },
    vision: { ...towerOf(vision, 'vision_config'), imageSize, patchSize, nSpecial: 1 },
    vectorDim: size({ projection_dim: DEFAULT_VECTOR_DIM, ...config }, 'projection_dim', 'config'),
  };
}

/** text_config; files of 2022 have text_config_dict beside it, which counts then. */
function partOf(config: JsonObject, key: string): JsonObject {
  return optionalObject(config, `${key}_dict`) ?? optionalObject(config, key) ?? {};
}

function towerOf(part: JsonObject, at: string): ClipTower {
  const [dim, nHeads] = [size(part, 'hidden_size', at), size(part, 'num_attention_heads', at)];
  if (dim % nHeads !== 0) {
    throw new ConfigError(`config.json: hidden_size ${dim} of ${at} is not a multiple of ${nHeads} heads`);
  }
  const normEps = optionalNumber(part, 'layer_norm_eps') ?? DEFAULT_EPS;
  if (!(normEps >= 0 && normEps < 1)) {
    throw new ConfigError(`config.json: layer_norm_eps of ${at} is ${normEps}, expected a number from 0 to 1`);
  }
  const activation = part['hidden_act'] ?? 'quick_gelu';
  if (activation !== 'quick_gelu' && activation !== 'gelu') {
    throw new UnsupportedError(
      `config.json: hidden_act of ${at} is ${JSON.stringify(activation)}; clip is run with quick_gelu, gelu`,
    );
  }
  return {
    dim,
    hiddenDim: size(part, 'intermediate_size', at),
    nLayers: size(part, 'num_hidden_layers', at),
    nHeads,
    headDim: dim / nHeads,
    normEps,
    activation,
  };
}

function endIdOf(text: JsonObject, vocab: number): number | 'largest' {
  const id = text['eos_token_id'];
  if (typeof id !== 'number' || !Number.isInteger(id) || id < 0 || id >= vocab) {
    throw new ConfigError(
      `config.json: eos_token_id of text_config is ${JSON.stringify(id)}, expected a token id below ${vocab}`,
    );
  }
  return id === OLD_END_ID ? 'largest' : id;
}

function size(part: JsonObject, key: string, at: string): number {
  const value = part[key];
  if (typeof value === 'number' && Number.isInteger(value) && value >= 1 && value <= MAX_SIZE) return value;
  throw new ConfigError(
    `config.json: ${key} of ${at} is ${JSON.stringify(value)}, expected an integer from 1 to ${MAX_SIZE}`,
  );
}
