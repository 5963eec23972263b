import { assert, ConfigError, ShapeError, UnsupportedError } from '../core/errors.ts';
import { getString } from '../core/metadata.ts';
import type { Graph } from '../graph/ir.ts';
import type { HfFolder } from '../load/hf_folder.ts';
import type { ModelFile } from '../load/model_file.ts';
import { ggufNameOf } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { ArchitectureEntry, Decoder, Tensors } from './architecture.ts';
import type { DecoderSizes } from './config.ts';
import { refuseEncoderDecoder } from './encoder_decoders.ts';
import { renamed } from './hf_tensors.ts';
import { withoutTiedHead } from './tied_head.ts';

/** A file that is known to be a model: its config, and its tensors under their GGUF names. */
export interface ModelDescription {
  readonly architecture: string;
  readonly config: DecoderSizes;
  readonly facts: Decoder['facts'];
  readonly tensors: Tensors;
  /** Of a folder: the names of the tensors that are read as they lie there, Hugging Face's -> GGUF's. undefined for a GGUF file. */
  readonly hfNames: ReadonlyMap<string, string> | undefined;
  /** The same model with other tensors under the same names. */
  withTensors(tensors: Tensors): ModelDescription;
  /** The graph as the architecture states it, before any pass, for sequences of up to maxSeq positions (`Decoder`). */
  buildGraph(activations: Activations, maxSeq?: number): Graph;
}

/** All decoders that can be run. A new one is its file and its line here. */
export const ARCHITECTURES: readonly ArchitectureEntry[] = [
  { ggufNames: ['llama'], modelTypes: ['llama', 'mistral'], load: async () => (await import('./llama.ts')).llama },
  { ggufNames: ['qwen2'], modelTypes: ['qwen2'], load: async () => (await import('./qwen2.ts')).qwen2 },
  { ggufNames: ['qwen3'], modelTypes: ['qwen3'], load: async () => (await import('./qwen3.ts')).qwen3 },
  { ggufNames: ['phi3'], modelTypes: ['phi3'], load: async () => (await import('./phi3.ts')).phi3 },
  { ggufNames: ['olmo2'], modelTypes: ['olmo2'], load: async () => (await import('./olmo2.ts')).olmo2 },
  { ggufNames: ['smollm3'], modelTypes: ['smollm3'], load: async () => (await import('./smollm3.ts')).smollm3 },
  { ggufNames: ['qwen2moe'], modelTypes: ['qwen2_moe'], load: async () => (await import('./qwen2moe.ts')).qwen2Moe },
  { ggufNames: ['qwen3moe'], modelTypes: ['qwen3_moe'], load: async () => (await import('./qwen3moe.ts')).qwen3Moe },
  {
    ggufNames: ['deepseek2'],
    modelTypes: ['deepseek_v2', 'deepseek_v3'],
    load: async () => (await import('./deepseek.ts')).deepseek,
  },
  { ggufNames: [], modelTypes: ['mixtral'], load: async () => (await import('./mixtral.ts')).mixtral },
  { ggufNames: ['gpt2'], modelTypes: ['gpt2'], load: async () => (await import('./gpt2.ts')).gpt2 },
  { ggufNames: ['gptneox'], modelTypes: ['gpt_neox'], load: async () => (await import('./gptneox.ts')).gptNeox },
  { ggufNames: ['falcon'], modelTypes: ['falcon'], load: async () => (await import('./falcon.ts')).falcon },
  { ggufNames: ['gemma'], modelTypes: ['gemma'], load: async () => (await import('./gemma.ts')).gemma },
  { ggufNames: ['gemma2'], modelTypes: ['gemma2'], load: async () => (await import('./gemma.ts')).gemma2 },
  {
    ggufNames: ['gemma3'],
    modelTypes: ['gemma3_text', 'gemma3'],
    load: async () => (await import('./gemma.ts')).gemma3,
  },
];

/** What models/vit_config.ts and models/clip_config.ts read: they generate no text. */
const IMAGE_CLASSIFIERS: readonly string[] = ['vit', 'deit', 'clip'];

/**
 * Reads a GGUF file as a model.
 * Throws UnsupportedError for an architecture that is not known, ConfigError for metadata that does not describe one.
 */
export async function describeGguf(file: ModelFile): Promise<ModelDescription> {
  const name = getString(file.metadata, 'general.architecture');
  if (name === undefined) {
    throw new ConfigError(
      `${file.name}: has no general.architecture, so it is not a model; "inspect" shows what it holds`,
    );
  }
  const architecture = await (await lookUp('ggufNames', name, `${file.name}: architecture`)).load();
  assert(architecture.fromGguf !== undefined, `${name} is read from GGUF files`);
  const tensors = architecture.tensorsOf?.(file.tensors) ?? file.tensors;
  return description(name, await architecture.fromGguf(file), tensors, undefined);
}

/** Reads a Hugging Face folder as a model; its tensor names are mapped to GGUF's. Throws as describeGguf. */
export async function describeHfFolder({ config, weights }: HfFolder): Promise<ModelDescription> {
  const modelType = config['model_type'];
  if (typeof modelType !== 'string') {
    throw new ConfigError(`${weights.name}: config.json has no model_type, so the architecture is not known`);
  }
  if (IMAGE_CLASSIFIERS.includes(modelType)) {
    throw new UnsupportedError(
      `config.json: model_type is "${modelType}", an image classifier; use "classify", or loadClassifier (loadClip) of the library`,
    );
  }
  const architecture = await (await lookUp('modelTypes', modelType, 'config.json: model_type')).load();
  assert(architecture.fromHf !== undefined, `${modelType} is read from folders`);
  let tensors = architecture.hfTensors?.(weights.tensors, config) ?? renamed(weights.tensors, ggufNameOf, modelType);
  const hfHead = architecture.hfHead ?? 'lm_head.weight';
  // A missing head would otherwise be taken from the embedding, whatever the config says.
  const isTied = (config['tie_word_embeddings'] ?? architecture.isTiedByDefault) === true;
  if (!isTied && !tensors.has('output.weight')) {
    throw new ShapeError(
      `tensor ${hfHead} is missing and config.json does not say tie_word_embeddings; the folder is not complete`,
    );
  }
  if (isTied) tensors = await withoutTiedHead(tensors, hfHead);
  return description(modelType, architecture.fromHf(config), tensors, namesOf(weights.tensors, tensors));
}

function description(
  architecture: string,
  decoder: Decoder,
  tensors: Tensors,
  hfNames: ModelDescription['hfNames'],
): ModelDescription {
  return {
    architecture,
    config: decoder.config,
    facts: decoder.facts,
    tensors,
    hfNames,
    withTensors: (others) => description(architecture, decoder, others, hfNames),
    buildGraph: (activations, maxSeq) => decoder.buildGraph(tensors, activations, maxSeq),
  };
}

/** Tensors that have another layout in GGUF are other ones than the folder's: what is said of theirs would not fit. */
function namesOf(inFolder: Tensors, tensors: Tensors): Map<string, string> {
  const names = new Map([...tensors].map(([name, info]) => [info, name]));
  return new Map([...inFolder].flatMap(([hfName, info]) => (names.has(info) ? [[hfName, names.get(info)!]] : [])));
}

async function lookUp(key: 'ggufNames' | 'modelTypes', name: string, what: string): Promise<ArchitectureEntry> {
  const found = ARCHITECTURES.find((entry) => entry[key].includes(name));
  if (found !== undefined) return found;
  refuseEncoderDecoder(key, name, what);
  const { ENCODERS } = await import('./encoders.ts');
  if (ENCODERS.some((entry) => entry[key].includes(name))) {
    throw new UnsupportedError(
      `${what} is "${name}", an encoder, which generates no text; use "embed" or "rerank", or loadEmbedder and loadReranker of the library`,
    );
  }
  const known = ARCHITECTURES.flatMap((entry) => entry[key]);
  throw new UnsupportedError(`${what} is "${name}"; known are ${known.join(', ')}`);
}
