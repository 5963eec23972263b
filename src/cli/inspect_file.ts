import { ConfigError, isGlassformerError } from '../core/errors.ts';
import type { MetaValue } from '../core/metadata.ts';
import { type CheckedLoadOptions, checkLoadOptions, type LoadOptions } from '../engine/options.ts';
import { planBuffers } from '../exec/plan.ts';
import type { Graph } from '../graph/ir.ts';
import { optimize } from '../graph/passes/index.ts';
import { openHfFolder } from '../load/hf_folder.ts';
import type { JsonValue } from '../load/json_file.ts';
import type { ModelFile, TensorInfo } from '../load/model_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { describeGguf, describeHfFolder, type ModelDescription } from '../models/architectures.ts';
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

/** What a run needs, in bytes. */
export interface MemoryNeed {
  readonly weightBytes: number;
  readonly cacheBytes: number;
  readonly scratchBytes: number;
  readonly maxSeq: number;
}

/**
 * Opens what is at `path` and tries to read it as a model. What it lacks to be one is reported, not thrown.
 * Throws where it cannot be opened at all: ConfigError for a folder without config.json, FormatError for another format.
 */
export async function openInspected(path: string, options: LoadOptions): Promise<Inspected> {
  const found = await openNodeModel(path);
  if (found.kind === 'folder') {
    const folder = await openHfFolder(found.folder);
    return inspected(
      path,
      'folder',
      folder.weights,
      new Map(Object.entries(folder.config)) as Inspected['metadata'],
      () => {
        const description = describeHfFolder(folder);
        if (folder.tokenizerJson === null) throw new ConfigError(`${path}: has no tokenizer.json`);
        createTokenizer({ tokenizerJson: folder.tokenizerJson, tokenizerConfig: folder.tokenizerConfig ?? {} });
        return description;
      },
      options,
    );
  }
  let file: ModelFile;
  try {
    file = await openModelFile(found.source, found.folder);
  } catch (error) {
    await found.source.close();
    throw error;
  }
  return inspected(
    found.source.name,
    file.format,
    file,
    file.metadata,
    async () => {
      if (file.format === 'safetensors') {
        throw new ConfigError('a safetensors file holds tensors only; its folder, with config.json, would be a model');
      }
      const description = await describeGguf(file);
      createTokenizer(ggufVocab(file.metadata));
      return description;
    },
    options,
  );
}

async function inspected(
  name: string,
  format: Inspected['format'],
  file: ModelFile,
  metadata: Inspected['metadata'],
  describe: () => ModelDescription | Promise<ModelDescription>,
  options: LoadOptions,
): Promise<Inspected> {
  const sources = new Set([...file.tensors.values()].map((info) => info.source));
  const sizeBytes = [...sources].reduce((n, source) => n + source.size, 0);
  const common = { name, format, sizeBytes, metadata, tensors: file.tensors, close: () => file.close() };
  try {
    const description = await describe();
    return { ...common, model: { description, graph: description.buildGraph(options.activations ?? 'q8') } };
  } catch (error) {
    if (isGlassformerError(error)) return { ...common, model: { missing: error.message } };
    await file.close();
    throw error;
  }
}

/** Weights as the file has them; keys and values in f32; scratch for one chunk of a prompt at the end of the context. */
export function memoryNeed(graph: Graph, description: ModelDescription, options: LoadOptions): MemoryNeed {
  const checked: CheckedLoadOptions = checkLoadOptions(options, description.config.maxContext);
  const { maxSeq } = checked;
  let weightBytes = 0;
  for (const node of graph.nodes) {
    if (node.op === 'weight') weightBytes += description.tensors.get(node.name)!.nBytes;
  }
  const { nLayers, nKvHeads, headDim } = graph.kv;
  const nTokens = Math.min(checked.prefillChunk, maxSeq);
  const sizes = { T: nTokens, R: 1, attendCells: nTokens * maxSeq };
  return {
    weightBytes,
    cacheBytes: maxSeq * nLayers * nKvHeads * headDim * 2 * Float32Array.BYTES_PER_ELEMENT,
    scratchBytes: planBuffers(optimize(graph, checked.disabledPasses), sizes).totalBytes,
    maxSeq,
  };
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
