import { ConfigError } from '../core/errors.ts';
import { bufferSource, type Host, type KernelBuild, type KernelModule } from '../core/host.ts';
import type { ModelSource } from '../engine/model_source.ts';
import { browserThreads } from './browser_threads.ts';
import { openHttpModel } from './http_source.ts';
import { packagedKernels } from './packaged_kernels.ts';
import { fetchBytes } from './web_fetch.ts';
import { blobFolder, blobSource } from './web_source.ts';

/** An address to fetch, the bytes, or the compiled module (edge hosts, which compile nothing at run time). */
export type KernelFile = string | URL | ArrayBuffer | Uint8Array<ArrayBuffer> | WebAssembly.Module;

/** Files of one build by module: `core`, and the formats of the models that will be loaded. */
export type KernelFiles = Readonly<Partial<Record<KernelModule, KernelFile>>>;

/**
 * Where the kernels are: the address of a folder in which they lie as in the package (`simd/core.wasm`), or each file.
 * Without `relaxed` the simd build runs; both give the same bits.
 */
export type KernelLocation = string | URL | KernelFileTable;

export interface KernelFileTable {
  readonly simd: KernelFiles;
  readonly relaxed?: KernelFiles;
  /** The address of `browser_worker.js`, for several threads. */
  readonly worker?: string | URL;
}

/**
 * What a page can hand in as a model: bytes, a dropped file, an address (of a file, or of a folder: it ends with "/"), or the
 * files of a Hugging Face folder by name.
 */
export type BrowserModel = ArrayBuffer | Uint8Array | Blob | URL | string | ReadonlyMap<string, Blob>;

/** Browsers and edge runtimes: everything comes through web APIs. Without `kernels`, they are fetched from beside this module. */
export function createBrowserHost(kernels?: KernelLocation): Host {
  return {
    description: `browser ${globalThis.navigator?.userAgent ?? 'unknown'}`,
    async kernelModule(build: KernelBuild, name: KernelModule) {
      const from = kernelFile(kernels ?? packagedKernels(), build, name);
      if (from === undefined) return null;
      if (typeof from === 'string' || from instanceof URL) {
        return fetchBytes(from, { next: 'serve it there, or say where it is with kernelFiles' });
      }
      return from instanceof ArrayBuffer ? new Uint8Array(from) : from;
    },
    threads: browserThreads(() => workerFile(kernels)),
    scratch: 'this host has no files that can be read at once',
    now: () => performance.now(),
    pause: nextTask,
    peakMemoryBytes: () => null,
  };
}

/** Opens what a page has. Throws ConfigError for anything else, and for an address that does not answer. */
export async function openBrowserModel(model: BrowserModel, signal?: AbortSignal): Promise<ModelSource> {
  if (typeof model === 'string' || model instanceof URL) return openHttpModel(model, signal);
  if (model instanceof Blob)
    return { kind: 'file', source: blobSource('name' in model ? `${model.name}` : 'blob', model) };
  if (model instanceof ArrayBuffer) return { kind: 'file', source: bufferSource('buffer', new Uint8Array(model)) };
  if (model instanceof Uint8Array) return { kind: 'file', source: bufferSource('buffer', model) };
  if (model instanceof Map) return { kind: 'folder', folder: blobFolder(model) };
  throw new ConfigError(
    `model is ${model === null ? 'null' : typeof model}; give an address, an ArrayBuffer, a Blob, or a Map of files by name`,
  );
}

/**
 * Resolves in a later task. A message is one and, unlike a timer, is not slowed down to 4 ms; some edge runtimes have timers only.
 */
function nextTask(): Promise<void> {
  return new Promise((resolve) => {
    if (typeof MessageChannel === 'undefined') return void setTimeout(resolve);
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(null);
  });
}

/** undefined: where the package has it. */
function workerFile(at: KernelLocation | undefined): string | URL | undefined {
  if (typeof at !== 'string' && !(at instanceof URL)) return at?.worker;
  return `${at}`.replace(/\/?$/, '/browser_worker.js');
}

function kernelFile(at: KernelLocation, build: KernelBuild, name: KernelModule): KernelFile | undefined {
  if (typeof at !== 'string' && !(at instanceof URL)) return at[build]?.[name];
  return `${at}`.replace(/\/?$/, `/${build}/${name}.wasm`);
}
