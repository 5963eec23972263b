import { ConfigError, UnsupportedError } from '../core/errors.ts';
import { getNumber, getString, needCount } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { ModelFile } from '../load/model_file.ts';
import type { LlamaConfig } from './config.ts';
import { plainConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf, withWindow } from './llama_hf.ts';
import type { RopeScaling } from './rope_config.ts';
import { readFactors } from './small_tensors.ts';

/** The factors of LongRoPE in a GGUF file, which are part of the config. */
export const PHI3_FACTORS = ['rope_factors_long.weight', 'rope_factors_short.weight'] as const;

/** Of transformers' Phi3Config. */
const DEFAULT_NORM_EPS = 1e-5;

/**
 * The config of a GGUF file of architecture "phi3": Phi-3, Phi-3.5 and Phi-4.
 * Throws as llamaConfigFromGguf does, and ConfigError when it has one of the two tensors of factors.
 */
export async function phi3ConfigFromGguf(file: ModelFile): Promise<LlamaConfig> {
  const [long, short] = await Promise.all(PHI3_FACTORS.map((name) => readFactors(file, name)));
  if (long === undefined && short === undefined) {
    return plainConfigFromGguf(file.metadata, 'phi3', 'halves');
  }
  if (long === undefined || short === undefined) {
    const missing = PHI3_FACTORS[long === undefined ? 0 : 1];
    throw new ConfigError(`tensor ${missing} is missing, and the other one is there; convert the model again`);
  }
  const kind = getString(file.metadata, 'phi3.rope.scaling.type') ?? 'longrope';
  if (kind !== 'longrope') {
    throw new UnsupportedError(`phi3.rope.scaling.type is "${kind}" together with ${PHI3_FACTORS[0]}`);
  }
  const scaling: RopeScaling = {
    kind: 'longrope',
    long,
    short,
    originalContext: needCount(file.metadata, 'phi3.rope.scaling.original_context_length'),
    magnitude: getNumber(file.metadata, 'phi3.rope.scaling.attn_factor') ?? 1,
  };
  return plainConfigFromGguf(file.metadata, 'phi3', 'halves', undefined, scaling);
}

/** The same of a folder whose model_type is "phi3". Throws as llamaConfigFromHf does. */
export function phi3ConfigFromHf(config: JsonObject): LlamaConfig {
  return withWindow(plainConfigFromHf(config, 'Phi-3', { normEps: DEFAULT_NORM_EPS }), config);
}
