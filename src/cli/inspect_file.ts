import { ConfigError, isGlassformerError } from '../core/errors.ts';
import type { ByteSource } from '../core/host.ts';
import type { MetaValue } from '../core/metadata.ts';
import type { ModelSource } from '../engine/model_source.ts';
import { checkLoadOptions, DEFAULT_MAX_SEQ, type LoadOptions } from '../engine/options.ts';
import { type MemoryNeed, memoryNeed } from '../exec/wasm/memory_need.ts';
import type { Graph } from '../graph/ir.ts';
import { optimize, type PassChoice } from '../graph/passes/index.ts';
import { withSums } from '../graph/wide_sums.ts';
import { openHfFolder } from '../load/hf_folder.ts';
import type { JsonValue } from '../load/json_file.ts';
import type { ModelFile, TensorInfo } from '../load/model_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { describeGguf, describeHfFolder, type ModelDescription } from '../models/architectures.ts';
import { checkGraphFits } from '../models/fit_graph.ts';
import { openNodeModel } from '../platform/node.ts';
import { ggufVocab } from '../text/gguf_vocab.ts';
import { createTokenizer } from '../text/tokenizer.ts';

/** A file or folder that could be opened, whether or not it is a model. */
export interface Inspected {
  readonly name: string;
  readonly format: 'gguf' | 'safetensors' | 'folder';
  /** Bytes of the file; of a folder or of shards, of all weight files. */
  readonly sizeBytes: number;
  /** Of a GGUF file its pairs, of a safetensors file its __metadata__, of a folder its config.json. */
  readonly metadata: ReadonlyMap<string, MetaValue | JsonValue>;
  readonly tensors: ReadonlyMap<string, TensorInfo>;
  /** The model, or the first reason why this is none. */
  readonly model: { readonly description: ModelDescription; readonly graph: Graph } | { readonly missing: string };
  close(): Promise<void>;
}

/**
 * Opens what is at `path` and tries to read it as a model. What it lacks to be one is reported, not thrown.
 * Throws where it cannot be opened at all: ConfigError for a folder without config.json, FormatError for another format.
 */
export async function openInspected(
  path: string,
  { activations = 'q8', sums = 'f32', maxSeq }: LoadOptions,
): Promise<Inspected> {
  const found = await openNodeModel(path);
  const parts = found.kind === 'folder' ? await folderParts(found) : await fileParts(found);
  const { describe, weights, ...rest } = parts;
  const close = (): Promise<void> => weights.close();
  try {
    const description = await describe();
    const positions = Math.min(maxSeq ?? DEFAULT_MAX_SEQ, description.config.maxContext);
    const graph = withSums(description.buildGraph(activations, positions), sums);
    return { ...rest, tensors: weights.tensors, close, model: { description, graph } };
  } catch (error) {
    if (isGlassformerError(error)) {
      return { ...rest, tensors: weights.tensors, close, model: { missing: error.message } };
    }
    await close();
    throw error;
  }
}

/** What a file and a folder have in common. `describe` throws the first reason why it is no model. */
interface Parts extends Pick<Inspected, 'name' | 'format' | 'sizeBytes' | 'metadata'> {
  readonly weights: ModelFile;
  describe(): Promise<ModelDescription>;
}

async function folderParts({ folder }: Extract<ModelSource, { kind: 'folder' }>): Promise<Parts> {
  const hf = await openHfFolder(folder);
  return {
    name: folder.name,
    format: 'folder',
    sizeBytes: bytesOf(hf.weights),
    metadata: new Map(Object.entries(hf.config) as [string, JsonValue][]),
    weights: hf.weights,
    async describe() {
      const description = await describeHfFolder(hf);
      // Without a vocabulary it is run by its ids.
      if (hf.tokenizerJson !== null) {
        createTokenizer({ tokenizerJson: hf.tokenizerJson, tokenizerConfig: hf.tokenizerConfig ?? {} });
      }
      return description;
    },
  };
}

async function fileParts({ source, folder }: Extract<ModelSource, { kind: 'file' }>): Promise<Parts> {
  let file: ModelFile;
  try {
    file = await openModelFile(source, folder);
  } catch (error) {
    await source.close();
    throw error;
  }
  return {
    name: source.name,
    format: file.format,
    sizeBytes: bytesOf(file, source),
    metadata: file.metadata,
    weights: file,
    async describe() {
      if (file.format === 'safetensors') {
        throw new ConfigError('a safetensors file holds tensors only; its folder, with config.json, would be a model');
      }
      const description = await describeGguf(file);
      createTokenizer(ggufVocab(file.metadata));
      return description;
    },
  };
}

/** Of every file that tensors lie in, and of those that hold none. */
function bytesOf(file: ModelFile, ...others: readonly ByteSource[]): number {
  const sources = new Set([...others, ...[...file.tensors.values()].map((info) => info.source)]);
  return [...sources].reduce((n, source) => n + source.size, 0);
}

/** Of the wasm tier, for one chunk of a prompt at the end of the context. */
export function memoryNeedOf(graph: Graph, description: ModelDescription, options: LoadOptions): MemoryNeed {
  const checked = checkLoadOptions(options, description.config.maxContext);
  return memoryNeed(runGraph(graph, options), checked);
}

export function passChoiceOf({ disabledPasses, onlyPasses, approximate }: LoadOptions): PassChoice {
  return { disabled: disabledPasses ?? [], only: onlyPasses, approximate: approximate ?? [] };
}

/** What the wasm tier runs: a given graph as it is, when it is of this model, or the model's own after the chosen passes. */
export function runGraph(stated: Graph, options: LoadOptions): Graph {
  if (options.graph === undefined) {
    return optimize(stated, options.disabledPasses, options.onlyPasses, options.approximate);
  }
  checkGraphFits(options.graph, stated);
  return options.graph;
}

/** Bytes and tensors by type, the largest share first. */
export function sizesByType(
  tensors: ReadonlyMap<string, TensorInfo>,
): { readonly type: string; readonly nTensors: number; readonly nBytes: number }[] {
  const byType = new Map<string, { type: string; nTensors: number; nBytes: number }>();
  for (const { type, nBytes } of tensors.values()) {
    const sum = byType.get(type) ?? { type, nTensors: 0, nBytes: 0 };
    byType.set(type, { type, nTensors: sum.nTensors + 1, nBytes: sum.nBytes + nBytes });
  }
  return [...byType.values()].sort((a, b) => b.nBytes - a.nBytes);
}
