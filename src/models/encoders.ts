import { assert, ConfigError, UnsupportedError } from '../core/errors.ts';
import { getString } from '../core/metadata.ts';
import type { HfFolder } from '../load/hf_folder.ts';
import type { ModelFile } from '../load/model_file.ts';
import type { Tensors } from './architecture.ts';
import type { Encoder, EncoderEntry } from './encoder.ts';
import { CLASSIFIER } from './encoder_blocks.ts';
import { refuseEncoderDecoder } from './encoder_decoders.ts';

/** A file that is known to be an encoder, and its tensors under their GGUF names. */
export interface EncoderDescription extends Encoder {
  readonly architecture: string;
  readonly tensors: Tensors;
  /** What its classification head gives for each text; 0 without one. */
  readonly nScores: number;
}

/** All encoders that can be run. A new one is its file and its line here. */
export const ENCODERS: readonly EncoderEntry[] = [
  {
    ggufNames: ['bert'],
    modelTypes: ['bert', 'roberta', 'xlm-roberta', 'distilbert', 'mpnet'],
    load: async () => (await import('./bert.ts')).bert,
  },
  {
    ggufNames: ['nomic-bert'],
    modelTypes: ['nomic_bert'],
    load: async () => (await import('./nomic_bert.ts')).nomicBert,
  },
  {
    ggufNames: ['modern-bert'],
    modelTypes: ['modernbert'],
    load: async () => (await import('./modern_bert.ts')).modernBert,
  },
  { ggufNames: ['t5encoder'], modelTypes: [], load: async () => (await import('./t5_encoder.ts')).t5Encoder },
];

/**
 * Reads a GGUF file as an encoder.
 * Throws UnsupportedError for an architecture that is none, ConfigError for metadata that does not describe one.
 */
export async function describeEncoderGguf(file: ModelFile): Promise<EncoderDescription> {
  const name = getString(file.metadata, 'general.architecture');
  if (name === undefined) throw new ConfigError(`${file.name}: has no general.architecture, so it is not a model`);
  const architecture = await lookUp('ggufNames', name, `${file.name}: architecture`).load();
  if (architecture.fromGguf === undefined) {
    throw new UnsupportedError(`${file.name}: architecture is "${name}", which is read from Hugging Face folders`);
  }
  const tensors = architecture.tensorsOf?.(file) ?? file.tensors;
  return described(name, architecture.fromGguf(file), tensors);
}

/** The same for a Hugging Face folder; its tensor names are mapped to GGUF's. */
export async function describeEncoderFolder({ config, weights }: HfFolder): Promise<EncoderDescription> {
  const modelType = config['model_type'];
  if (typeof modelType !== 'string') {
    throw new ConfigError(`${weights.name}: config.json has no model_type, so the architecture is not known`);
  }
  const architecture = await lookUp('modelTypes', modelType, 'config.json: model_type').load();
  const { fromHf, hfTensors } = architecture;
  assert(fromHf !== undefined && hfTensors !== undefined, `${modelType} is read from folders`);
  return described(modelType, fromHf(config), hfTensors(weights.tensors, config));
}

function described(architecture: string, encoder: Encoder, tensors: Tensors): EncoderDescription {
  return { ...encoder, architecture, tensors, nScores: tensors.get(`${CLASSIFIER}.weight`)?.shape[0] ?? 0 };
}

function lookUp(key: 'ggufNames' | 'modelTypes', name: string, what: string): EncoderEntry {
  const found = ENCODERS.find((entry) => entry[key].includes(name));
  if (found !== undefined) return found;
  refuseEncoderDecoder(key, name, what);
  const known = ENCODERS.flatMap((entry) => entry[key]).join(', ');
  throw new UnsupportedError(
    `${what} is "${name}", which is not an encoder that is known (${known}); give one of these, or use "generate" with a model that writes text`,
  );
}
