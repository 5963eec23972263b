import { ConfigError, FormatError } from '../core/errors.ts';
import { type ByteSource, bufferSource, type Host, type KernelBuild, type SourceFolder } from '../core/host.ts';
import type { ModelSource } from '../engine/model_source.ts';

/** Where a page serves the kernel modules, or the modules themselves (hosts that compile nothing at run time). */
export interface KernelLocation {
  readonly simd: string | URL | WebAssembly.Module | Uint8Array<ArrayBuffer>;
  readonly relaxed?: string | URL | WebAssembly.Module | Uint8Array<ArrayBuffer>;
}

/** What a page can hand in as a model: a fetched buffer, a dropped file, an address, or the files of a folder. */
export type BrowserModel = ArrayBuffer | Uint8Array | Blob | URL | string | ReadonlyMap<string, Blob>;

/** Browsers and edge runtimes: everything comes through web APIs. */
export function createBrowserHost(kernels: KernelLocation): Host {
  return {
    description: `browser ${globalThis.navigator?.userAgent ?? 'unknown'}`,
    async kernelModule(build: KernelBuild) {
      const from = kernels[build];
      if (from === undefined) return null;
      return typeof from === 'string' || from instanceof URL ? fetchBytes(from, undefined) : from;
    },
    now: () => performance.now(),
    // A message is a task of its own and, unlike a timer, is not slowed down to 4 ms.
    pause: () =>
      new Promise((resolve) => {
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => {
          port1.close();
          resolve();
        };
        port2.postMessage(null);
      }),
    peakMemoryBytes: () => null,
  };
}

/** Opens what a page has. An address is fetched whole; a Blob is read piece by piece. */
export async function openBrowserModel(model: BrowserModel, signal?: AbortSignal): Promise<ModelSource> {
  if (typeof model === 'string' || model instanceof URL) {
    return { kind: 'file', source: bufferSource(String(model), await fetchBytes(model, signal)) };
  }
  if (model instanceof Blob) return { kind: 'file', source: blobSource('blob', model) };
  if (model instanceof ArrayBuffer) return { kind: 'file', source: bufferSource('buffer', new Uint8Array(model)) };
  if (model instanceof Uint8Array) return { kind: 'file', source: bufferSource('buffer', model) };
  return { kind: 'folder', folder: blobFolder(model) };
}

function blobFolder(files: ReadonlyMap<string, Blob>): SourceFolder {
  return {
    name: 'folder',
    async open(fileName) {
      const blob = files.get(fileName);
      return blob === undefined ? null : blobSource(fileName, blob);
    },
  };
}

function blobSource(name: string, blob: Blob): ByteSource {
  return {
    name,
    size: blob.size,
    async read(offset, into) {
      if (offset < 0 || offset + into.byteLength > blob.size) {
        throw new FormatError(
          `${name}: needs bytes ${offset} to ${offset + into.byteLength}, it has ${blob.size}`,
          offset,
        );
      }
      into.set(new Uint8Array(await blob.slice(offset, offset + into.byteLength).arrayBuffer()));
    },
    async close() {},
  };
}

async function fetchBytes(from: string | URL, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
  const response = await fetch(from, { signal: signal ?? null });
  if (!response.ok) throw new ConfigError(`${from}: the server answered ${response.status}; check the address`);
  return new Uint8Array(await response.arrayBuffer());
}
