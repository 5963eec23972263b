import type { Embedder } from './engine/embedder.ts';
import type { EncoderLoadOptions } from './engine/load_encoder.ts';
import { loadModel as loadModelFrom } from './engine/load_model.ts';
import type { Model } from './engine/model.ts';
import type { LoadOptions, LoraOption } from './engine/options.ts';
import type { Reranker } from './engine/reranker.ts';
import { type BrowserModel, createBrowserHost, type KernelLocation, openBrowserModel } from './platform/browser.ts';

export * from './index.ts';
export type { BrowserModel, KernelFile, KernelFiles, KernelFileTable, KernelLocation } from './platform/browser.ts';

export interface BrowserLoadOptions extends Omit<LoadOptions, 'lora'> {
  /** Adapters (LoRA) that are added to the model's weights, in this order: each from what loadModel takes as a model. */
  readonly lora?: readonly (LoraOption | { readonly model: BrowserModel; readonly scale?: number })[];
  /**
   * The address of a folder that serves the package's `dist/wasm` (only what the model needs is fetched), or the files' own
   * addresses, bytes or compiled modules. By default they are looked for where the package has them, beside this module: right
   * for bundlers that copy `new URL(..., import.meta.url)`, and for pages that serve the package's folder as it is.
   */
  readonly kernelFiles?: KernelLocation;
}

/** The same of encoders. */
export interface BrowserEncoderOptions extends EncoderLoadOptions, Pick<BrowserLoadOptions, 'kernelFiles'> {}

/**
 * Loads a model in a browser or an edge runtime. In a page, call it in a worker: generation occupies its thread.
 *
 * model: an address (of a file, or of a folder: it ends with "/"), the file's bytes, a Blob, or the files of a Hugging Face
 * folder by name. A server that can send parts of a file is asked for parts, so the weights are in memory once.
 *
 *   const model = await loadModel('/models/model.gguf', { kernelFiles: '/wasm/' });
 *   for await (const { text } of model.generate('Once upon a time', { maxTokens: 50 })) postMessage(text);
 *
 * Throws ConfigError when an address does not answer, and what reading and building throw.
 */
export async function loadModel(model: BrowserModel, options: BrowserLoadOptions = {}): Promise<Model> {
  const { kernelFiles, lora = [], ...rest } = options;
  const adapters = lora.map((given): LoraOption => {
    if ('open' in given) return given;
    return { open: () => openBrowserModel(given.model, options.signal), scale: given.scale ?? 1 };
  });
  const source = await openBrowserModel(model, options.signal);
  return loadModelFrom(source, createBrowserHost(kernelFiles), { ...rest, lora: adapters });
}

/** Loads an encoder that makes vectors of texts, from what loadModel takes. Its code is fetched then. */
export async function loadEmbedder(model: BrowserModel, options: BrowserEncoderOptions = {}): Promise<Embedder> {
  const { kernelFiles, ...rest } = options;
  const { loadEmbedder: load } = await import('./engine/embedder.ts');
  return load(await openBrowserModel(model, options.signal), createBrowserHost(kernelFiles), rest);
}

/** The same for a cross-encoder, which scores documents for a query. */
export async function loadReranker(model: BrowserModel, options: BrowserEncoderOptions = {}): Promise<Reranker> {
  const { kernelFiles, ...rest } = options;
  const { loadReranker: load } = await import('./engine/reranker.ts');
  return load(await openBrowserModel(model, options.signal), createBrowserHost(kernelFiles), rest);
}
