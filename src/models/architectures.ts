import { ConfigError, ShapeError, UnsupportedError } from '../core/errors.ts';
import { getString } from '../core/metadata.ts';
import type { Graph } from '../graph/ir.ts';
import type { HfFolder } from '../load/hf_folder.ts';
import type { ModelFile, TensorInfo } from '../load/model_file.ts';
import { ggufNameOf, isDerivedBuffer } from '../load/names.ts';
import { dtypeOf, readTensorBytes } from '../load/weights.ts';
import type { Activations } from '../ops/linear.ts';
import { FORMATS } from '../quant/formats.ts';
import type { LlamaConfig } from './config.ts';
import { buildLlama } from './llama.ts';
import { llamaConfigFromGguf } from './llama_gguf.ts';
import { llamaConfigFromHf } from './llama_hf.ts';

/** A file that is known to be a model: its config, and its tensors under their GGUF names. */
export interface ModelDescription {
  readonly architecture: string;
  readonly config: LlamaConfig;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The graph as the architecture states it, before any pass. */
  buildGraph(activations: Activations): Graph;
}

/** What a GGUF file may say in general.architecture. */
const GGUF_ARCHITECTURES = { llama: llamaConfigFromGguf } as const;
/** What a config.json may say in model_type. */
const HF_MODEL_TYPES = { llama: llamaConfigFromHf, mistral: llamaConfigFromHf } as const;

/** What models/vit_config.ts reads: they generate no text. */
const IMAGE_CLASSIFIERS: readonly string[] = ['vit', 'deit'];

/**
 * Reads a GGUF file as a model.
 * Throws UnsupportedError for an architecture that is not known, ConfigError for metadata that does not describe one.
 */
export async function describeGguf(file: ModelFile): Promise<ModelDescription> {
  const architecture = getString(file.metadata, 'general.architecture');
  if (architecture === undefined) {
    throw new ConfigError(
      `${file.name}: has no general.architecture, so it is not a model; "inspect" shows what it holds`,
    );
  }
  const readConfig = lookUp(GGUF_ARCHITECTURES, architecture, `${file.name}: architecture`);
  const config = readConfig(file.metadata, await ropeFactors(file));
  return description(architecture, config, file.tensors);
}

/** Reads a Hugging Face folder as a model; its tensor names are mapped to GGUF's. Throws as describeGguf. */
export function describeHfFolder(folder: HfFolder): ModelDescription {
  const modelType = folder.config['model_type'];
  if (typeof modelType !== 'string') {
    throw new ConfigError(`${folder.weights.name}: config.json has no model_type, so the architecture is not known`);
  }
  if (IMAGE_CLASSIFIERS.includes(modelType)) {
    throw new UnsupportedError(
      `config.json: model_type is "${modelType}", an image classifier; use "classify", or loadClassifier of the library`,
    );
  }
  const readConfig = lookUp(HF_MODEL_TYPES, modelType, 'config.json: model_type');
  const tensors = new Map<string, TensorInfo>();
  for (const [hfName, info] of folder.weights.tensors) {
    if (isDerivedBuffer(hfName)) continue;
    const name = ggufNameOf(hfName);
    if (name === null) {
      throw new UnsupportedError(
        `tensor ${hfName} has no place in a ${modelType} model; it is a variant that cannot be run yet`,
      );
    }
    tensors.set(name, info);
  }
  // transformers' LlamaConfig is not tied unless it says so; a missing head would otherwise be taken from the embedding.
  if (folder.config['tie_word_embeddings'] !== true && !tensors.has('output.weight')) {
    throw new ShapeError(
      `tensor lm_head.weight is missing and config.json does not say tie_word_embeddings; the folder is not complete`,
    );
  }
  return description(modelType, readConfig(folder.config), tensors);
}

function description(
  architecture: string,
  config: LlamaConfig,
  tensors: ReadonlyMap<string, TensorInfo>,
): ModelDescription {
  return { architecture, config, tensors, buildGraph: (activations) => buildLlama(config, tensors, activations) };
}

function lookUp<T>(known: Readonly<Record<string, T>>, name: string, what: string): T {
  const found = Object.hasOwn(known, name) ? known[name] : undefined;
  if (found === undefined) {
    throw new UnsupportedError(`${what} is "${name}"; known are ${Object.keys(known).join(', ')}`);
  }
  return found;
}

/** The tensor rope_freqs.weight, which Llama 3.1 files have in place of scaling keys. */
async function ropeFactors(file: ModelFile): Promise<number[] | undefined> {
  const info = file.tensors.get('rope_freqs.weight');
  if (info === undefined) return undefined;
  const n = info.shape.reduce((a, b) => a * b, 1);
  if (n > 4096) throw new ConfigError(`rope_freqs.weight has ${n} elements, expected one per pair of a head`);
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes);
  const values = new Float32Array(n);
  FORMATS[dtypeOf(info)].unpack(bytes, 0, values, 0, n);
  return Array.from(values);
}
