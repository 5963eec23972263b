import { loadModel as loadModelFrom } from './engine/load_model.ts';
import type { Model } from './engine/model.ts';
import type { LoadOptions } from './engine/options.ts';
import { type BrowserModel, createBrowserHost, type KernelLocation, openBrowserModel } from './platform/browser.ts';

export * from './index.ts';
export type { BrowserModel, KernelLocation } from './platform/browser.ts';

/**
 * Loads a model in a browser or an edge runtime.
 *
 * model: the file's bytes, a Blob, an address to fetch, or the files of a Hugging Face folder by name.
 * kernelFiles: where `simd.wasm` and `relaxed.wasm` of the package are served (or the compiled modules).
 *
 *   const model = await loadModel(await (await fetch('/model.gguf')).arrayBuffer(), {
 *     kernelFiles: { simd: '/simd.wasm', relaxed: '/relaxed.wasm' },
 *   });
 */
export async function loadModel(
  model: BrowserModel,
  options: LoadOptions & { readonly kernelFiles: KernelLocation },
): Promise<Model> {
  const { kernelFiles, ...rest } = options;
  return loadModelFrom(await openBrowserModel(model, options.signal), createBrowserHost(kernelFiles), rest);
}
