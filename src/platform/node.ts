import { open, readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { ConfigError, FormatError } from '../core/errors.ts';
import type { ByteSource, Host, KernelBuild, SourceFolder } from '../core/host.ts';
import type { ModelSource } from '../engine/model_source.ts';

/**
 * Node (and hosts with its modules): files, folders, kernel modules. The two addresses are the same from src/platform and
 * from dist/platform.
 */
const WASM_FOLDER = new URL('../../dist/wasm/', import.meta.url);
const EMBEDDED_MODEL = new URL('../../src/embedded/lm/model.gguf', import.meta.url);

/** V8 11.3 (Node 20) knows relaxed SIMD behind this flag; later versions know it without, and ignore the flag. */
const RELAXED_SIMD_FLAG = '--experimental-wasm-relaxed-simd';

export function createNodeHost(): Host {
  return {
    description: `node ${process.version} ${process.platform}-${process.arch}`,
    async kernelModule(build: KernelBuild) {
      if (build === 'relaxed') setFlagsFromString(RELAXED_SIMD_FLAG);
      try {
        return new Uint8Array(await readFile(new URL(`${build}.wasm`, WASM_FOLDER)));
      } catch (e) {
        if (isMissing(e)) return null;
        throw e;
      }
    },
    now: () => performance.now(),
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
  };
}

/** Opens `model`: a path of a file or of a folder, or the word "embedded". Throws ConfigError when there is none. */
export async function openNodeModel(model: string): Promise<ModelSource> {
  const path = model === 'embedded' ? fileURLToPath(EMBEDDED_MODEL) : model;
  const info = await statOrNull(path);
  if (info === null) {
    throw new ConfigError(
      `model ${path}: there is no such file or folder; give a .gguf file, a Hugging Face folder or "embedded"`,
    );
  }
  if (info.isDirectory()) return { kind: 'folder', folder: openNodeFolder(path) };
  if (!info.isFile()) throw new ConfigError(`model ${path}: is neither a file nor a folder`);
  return { kind: 'file', source: await openNodeFile(path), folder: openNodeFolder(dirname(path)) };
}

export function openNodeFolder(path: string): SourceFolder {
  return {
    name: path,
    async open(fileName) {
      if (basename(fileName) !== fileName) {
        throw new ConfigError(`${path}: "${fileName}" is not a plain file name; a model's files lie in one folder`);
      }
      const full = join(path, fileName);
      return (await statOrNull(full))?.isFile() ? openNodeFile(full) : null;
    },
  };
}

/** A file as a source. A single read may be short, so it goes on until the buffer is full. */
export async function openNodeFile(path: string): Promise<ByteSource> {
  const handle = await open(path, 'r');
  const { size } = await handle.stat();
  return {
    name: path,
    size,
    async read(offset, into) {
      let done = 0;
      while (done < into.byteLength) {
        const { bytesRead } = await handle.read(into, done, into.byteLength - done, offset + done);
        if (bytesRead === 0) {
          throw new FormatError(
            `${path}: needs bytes ${offset} to ${offset + into.byteLength}, the file ends at ${offset + done}; it is truncated or shrank`,
            offset + done,
          );
        }
        done += bytesRead;
      }
    },
    close: () => handle.close(),
  };
}

async function statOrNull(path: string) {
  try {
    return await stat(path);
  } catch (e) {
    if (isMissing(e)) return null;
    throw e;
  }
}

function isMissing(e: unknown): boolean {
  return e instanceof Error && 'code' in e && (e.code === 'ENOENT' || e.code === 'ENOTDIR');
}
