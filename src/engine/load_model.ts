import { ConfigError } from '../core/errors.ts';
import type { Host, SourceFolder } from '../core/host.ts';
import { checkCacheForm, type Executor } from '../exec/executor.ts';
import { loadWeights } from '../exec/load_weights.ts';
import { createWasmExecutor } from '../exec/wasm/executor.ts';
import { optimize } from '../graph/passes/index.ts';
import { withSums } from '../graph/wide_sums.ts';
import type { HfFolder } from '../load/hf_folder.ts';
import type { ModelFile } from '../load/model_file.ts';
import { openModelFile } from '../load/open_model.ts';
import { describeGguf, describeHfFolder, type ModelDescription } from '../models/architectures.ts';
import { checkGraphFits } from '../models/fit_graph.ts';
import { ggufVocab } from '../text/gguf_vocab.ts';
import { configChatTemplate, ggufChatTemplate } from '../text/template_source.ts';
import { createTokenizer, type Tokenizer } from '../text/tokenizer.ts';
import { createModel, type Model, type ModelParts, type ModelTemplate } from './model.ts';
import type { ModelSource } from './model_source.ts';
import { type CheckedLoadOptions, checkLoadOptions, type LoadOptions, threadCount } from './options.ts';

/** A model that was opened and understood, of which no weight has been read yet. */
export interface OpenedModel {
  readonly name: string;
  readonly description: ModelDescription;
  readonly tokenizer: Tokenizer;
  readonly chatTemplate: ModelParts['chatTemplate'];
  close(): Promise<void>;
}

/**
 * The loading path: bytes -> directory of tensors -> config -> graph -> passes -> executor with weights.
 * Throws the six errors of core/errors.ts, and the signal's reason; nothing stays open then.
 */
export async function loadModel(source: ModelSource, host: Host, options: LoadOptions = {}): Promise<Model> {
  const start = host.now();
  let opened = await openModel(source);
  try {
    const checked = checkLoadOptions(options, opened.description.config.maxContext);
    if (options.lora !== undefined && options.lora.length > 0) opened = await adapted(opened, options);
    const executor = await createExecutor(opened.description, host, checked);
    try {
      return createModel({ ...opened, executor, host, options: checked, loadMs: host.now() - start });
    } catch (e) {
      executor.dispose(); // its threads would wait for ever
      throw e;
    }
  } catch (e) {
    await opened.close();
    throw e;
  }
}

/** The model with adapters, which are closed with it. */
async function adapted(opened: OpenedModel, { lora = [], loraMerge = false }: LoadOptions): Promise<OpenedModel> {
  const { withAdapters } = await import('./adapters.ts');
  const { description, close } = await withAdapters(opened.description, lora, loraMerge);
  return {
    ...opened,
    description,
    async close() {
      await close();
      await opened.close();
    },
  };
}

/** Opens what `source` has and reads everything but the weights. */
export async function openModel(source: ModelSource): Promise<OpenedModel> {
  return source.kind === 'folder' ? openFolder(source) : openFile(source);
}

/** The executor of a tier. The naive tiers run the graph as the architecture states it, wasm runs it after the passes; a given one runs as it is. */
export async function createExecutor(
  description: Pick<ModelDescription, 'buildGraph' | 'tensors'>,
  host: Host,
  options: CheckedLoadOptions,
): Promise<Executor> {
  const nThreads = threadCount(options.threads, typeof host.threads === 'string' ? undefined : host.threads.available);
  const { onNotice } = options;
  if (nThreads > 1 && options.executor !== 'wasm') {
    onNotice?.(`threads: 1 instead of ${nThreads}: the ${options.executor} executor has no more`);
  }
  const stated = withSums(description.buildGraph(options.activations, options.maxSeq), options.sums);
  if (options.graph !== undefined) checkGraphFits(options.graph, stated);
  checkCacheForm(options.graph ?? stated, options.kv); // before weights are read
  // The naive tiers run the model as it is stated, with what was asked of its numbers.
  const graph = options.graph ?? optimize(stated, [], [], options.approximate);
  const read = { signal: options.signal, onProgress: options.onProgress };
  switch (options.executor) {
    case 'naive': {
      const { createNaiveExecutor } = await import('../exec/naive.ts');
      return createNaiveExecutor(graph, await loadWeights(graph, description.tensors, read));
    }
    case 'naive64': {
      const { createNaive64Executor } = await import('../exec/naive64.ts');
      return createNaive64Executor(graph, await loadWeights(graph, description.tensors, read));
    }
    case 'wasm':
      return createWasmExecutor({
        graph: options.graph ?? optimize(stated, options.disabledPasses, options.onlyPasses, options.approximate),
        tensors: description.tensors,
        host,
        kernels: options.kernels,
        threads: { nThreads, onNotice },
        read,
        limits: options,
        onMemoryNeed: options.onMemoryNeed,
      });
    default:
      return options.executor satisfies never;
  }
}

async function openFile(source: Extract<ModelSource, { kind: 'file' }>): Promise<OpenedModel> {
  const { name } = source.source;
  let close = (): Promise<void> => source.source.close();
  try {
    const file = await openModelFile(source.source, source.folder);
    close = () => file.close(); // with all its shards
    if (file.format === 'safetensors') return await openBesideConfig(file, source.folder);
    const description = await describeGguf(file);
    const vocab = ggufVocab(file.metadata);
    const tokenizer = createTokenizer(vocab);
    const template = ggufChatTemplate(file.metadata);
    return {
      name,
      description,
      tokenizer,
      chatTemplate: template === null ? null : await withRenderer(template, vocab.tokenizerConfig, tokenizer),
      close,
    };
  } catch (e) {
    await close();
    throw e;
  }
}

/** A safetensors file holds tensors only: the rest of the model lies beside it. */
async function openBesideConfig(file: ModelFile, folder: SourceFolder | undefined): Promise<OpenedModel> {
  if (folder === undefined) {
    throw new ConfigError(
      `${file.name}: a safetensors file holds tensors only; give its folder, with config.json and tokenizer.json beside it`,
    );
  }
  const { openHfFolder } = await import('../load/hf_folder.ts'); // one file is loaded more often
  return describeFolder(await openHfFolder(folder, file), file.name);
}

async function openFolder({ folder }: Extract<ModelSource, { kind: 'folder' }>): Promise<OpenedModel> {
  const { openHfFolder } = await import('../load/hf_folder.ts');
  return describeFolder(await openHfFolder(folder), folder.name);
}

async function describeFolder(hf: HfFolder, name: string): Promise<OpenedModel> {
  try {
    const description = await describeHfFolder(hf);
    const eosIds = eosIdsOf(hf.generationConfig ?? hf.config);
    if (hf.tokenizerJson === null) {
      const { createNumberTokenizer } = await import('../text/number_tokenizer.ts');
      const tokenizer = createNumberTokenizer(name, description.config.vocab, eosIds);
      return { name, description, tokenizer, chatTemplate: null, close: () => hf.weights.close() };
    }
    const config = hf.tokenizerConfig ?? {};
    const tokenizer = createTokenizer({ tokenizerJson: hf.tokenizerJson, tokenizerConfig: config }, { eosIds });
    const template = hf.chatTemplate ?? configChatTemplate(config);
    return {
      name,
      description,
      tokenizer,
      chatTemplate: template === null ? null : await withRenderer(template, config, tokenizer),
      close: () => hf.weights.close(),
    };
  } catch (e) {
    await hf.weights.close();
    throw e;
  }
}

/** The language of templates is a quarter of the engine: it is loaded with a model that has one. */
async function withRenderer(template: string, config: object, tokenizer: Tokenizer): Promise<ModelTemplate> {
  const [{ renderChat: render }, { reasoningOf }] = await Promise.all([
    import('../text/chat_template.ts'),
    import('../text/reasoning.ts'),
  ]);
  const [bosToken, eosToken] = [tokenText(config, 'bos_token'), tokenText(config, 'eos_token')];
  return { template, render, reasoning: reasoningOf(template, tokenizer), bosToken, eosToken };
}

/** "<s>", or the content of { "content": "<s>", ... }; empty where the model has no such token. */
function tokenText(config: object, key: string): string {
  const token = (config as Record<string, unknown>)[key];
  if (typeof token === 'string') return token;
  const content = typeof token === 'object' && token !== null && 'content' in token ? token.content : undefined;
  return typeof content === 'string' ? content : '';
}

/** generation_config.json may name several end tokens, e.g. end of text and end of turn. */
function eosIdsOf(config: object): number[] {
  const value = (config as Record<string, unknown>)['eos_token_id'];
  if (value === undefined || value === null) return [];
  const ids = Array.isArray(value) ? value : [value];
  for (const id of ids) {
    if (!Number.isInteger(id)) throw new ConfigError(`eos_token_id is ${JSON.stringify(value)}, expected token ids`);
  }
  return ids as number[];
}
