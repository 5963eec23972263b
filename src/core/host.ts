import type { DType } from './dtype.ts';
import { FormatError } from './errors.ts';

/**
 * What lower floors need from the machine and may not import. `platform/` implements it for Node and for browsers; the
 * doors hand it in. No other file touches the host.
 */

/** A file, a blob or a buffer: something of known length that can be read at any place. */
export interface ByteSource {
  /** What messages call it: a path, a URL, "buffer". */
  readonly name: string;
  readonly size: number;
  /**
   * Fills all of `into` with the bytes that start at `offset`.
   * Throws FormatError when the source has fewer bytes than that (a file that shrank while it was read).
   */
  read(offset: number, into: Uint8Array): Promise<void>;
  close(): Promise<void>;
}

/** A folder of sources, addressed by file name: a Hugging Face folder, or the shards beside a GGUF file. */
export interface SourceFolder {
  readonly name: string;
  /** null when there is no file of that name. */
  open(fileName: string): Promise<ByteSource | null>;
  /** The folder of that name in this one, whether or not it is there; absent where a host has no folders in folders. */
  folder?(folderName: string): SourceFolder;
}

/** The DOM's types declare this too (the two merge); a project for Node may have none of them and still read ours. */
declare global {
  namespace WebAssembly {
    interface Module {}
    interface Memory {}
  }
}

/** Names of the kernel builds, the best first. */
export type KernelBuild = 'relaxed' | 'simd';

/** A build is several modules: `core` is needed by every model, the others by models with weights in that format. */
export type KernelModule = 'core' | DType;

/** What a worker starts with; all of it can be sent to another thread. */
export interface WorkerStart {
  readonly modules: readonly WebAssembly.Module[];
  /** Each kernel: the place of its module, and its name there. */
  readonly kernels: readonly (readonly [module: number, name: string])[];
  readonly memory: WebAssembly.Memory;
  readonly control: SharedArrayBuffer;
  /** From 1 on: the main thread is 0. */
  readonly thread: number;
}

export interface HostWorker {
  /** Ends it, whatever it does. */
  terminate(): void;
}

/** A host on which kernels can run in several threads over one memory. */
export interface ThreadHost {
  /** Threads that the machine runs at the same time. */
  readonly available: number;
  /**
   * Starts a worker that runs `serve` of exec/wasm/thread_worker.ts; resolves when it is ready to take work.
   * Rejects when it cannot start. onEnd: it ended later and was not told to, and why.
   */
  startWorker(start: WorkerStart, onEnd: (reason: string) => void): Promise<HostWorker>;
}

/** A file of this process alone, read and written at any place and at once, since a cache is used in the middle of a step. */
export interface ScratchFile {
  readonly name: string;
  /** Throws CapacityError when the disk is full, ConfigError when writing fails otherwise. */
  write(offset: number, bytes: Uint8Array): void;
  /** Fills `into`. Throws FormatError when the file ends before. */
  read(offset: number, into: Uint8Array): void;
  /** Closes and removes it; a second time nothing. */
  close(): void;
}

export interface ScratchFiles {
  /** Throws ConfigError when there is no folder to write to. */
  create(): ScratchFile;
}

export interface Host {
  /** "node v20.20.2", "browser Chromium 156": for figures and bug reports. */
  readonly description: string;
  /** The bytes of one module of a kernel build, or the module that the host already compiled; null when it was not shipped. */
  kernelModule(build: KernelBuild, name: KernelModule): Promise<WebAssembly.Module | Uint8Array<ArrayBuffer> | null>;
  /** A text says why this host has no threads. */
  readonly threads: ThreadHost | string;
  /** Where cold pages of a cache can go; a text says why this host has no such files. */
  readonly scratch: ScratchFiles | string;
  /** Milliseconds from any fixed start, monotonic. */
  now(): number;
  /** Lets the host do what waits: signals, input, painting. Called between tokens, never within one. */
  pause(): Promise<void>;
  /** Peak memory of the process in bytes, null where the host does not tell. */
  peakMemoryBytes(): number | null;
}

/** 64 MB: large enough to stream at disk speed, small enough that progress moves. */
export const READ_CHUNK_BYTES = 1 << 26;

/** A buffer as a source: tests, browsers that have fetched a file, embedded models. */
export function bufferSource(name: string, bytes: Uint8Array): ByteSource {
  return {
    name,
    size: bytes.byteLength,
    async read(offset: number, into: Uint8Array): Promise<void> {
      if (offset < 0 || offset + into.byteLength > bytes.byteLength) {
        throw new FormatError(
          `${name}: needs bytes ${offset} to ${offset + into.byteLength}, the source has ${bytes.byteLength}`,
          offset,
        );
      }
      into.set(bytes.subarray(offset, offset + into.byteLength));
    },
    async close(): Promise<void> {},
  };
}
