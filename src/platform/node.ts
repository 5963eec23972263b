import { readFile, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import { ConfigError } from '../core/errors.ts';
import type { Host, KernelBuild, KernelModule, SourceFolder } from '../core/host.ts';
import type { ModelSource } from '../engine/model_source.ts';
import type { DownloadOptions } from './hub/download.ts';
import { isHubReference } from './hub/reference.ts';
import { isMissing, openNodeFile, systemError } from './node_file.ts';
import { nodeScratchFiles } from './node_scratch.ts';
import { createNodeThreads } from './node_threads.ts';

/** The two addresses are the same from src/platform and from dist/platform. */
const WASM_FOLDER = new URL('../../dist/wasm/', import.meta.url);
const EMBEDDED_MODEL = new URL('../../src/embedded/lm/model.gguf', import.meta.url);
const EMBEDDED_CLASSIFIER = new URL('../../src/embedded/vit/', import.meta.url);

/** V8 11.3 (Node 20) has relaxed SIMD behind this flag; V8 11.4 and later have it without. */
const RELAXED_SIMD_FLAG = '--experimental-wasm-relaxed-simd';

/** Node, and hosts that have its modules: Deno, Bun. */
export function createNodeHost(): Host {
  return {
    description: `${runtimeName()} ${process.platform}-${process.arch}`,
    async kernelModule(build: KernelBuild, name: KernelModule) {
      const path = fileURLToPath(new URL(`${build}/${name}.wasm`, WASM_FOLDER));
      let bytes: Uint8Array<ArrayBuffer>;
      try {
        bytes = new Uint8Array(await readFile(path));
      } catch (e) {
        if (isMissing(e)) return null;
        throw systemError(`kernels ${path}`, e);
      }
      // Only where it is missing: V8 forgets a flag when its feature becomes part of the language, and then complains.
      if (build === 'relaxed' && !WebAssembly.validate(bytes)) trySetFlag(RELAXED_SIMD_FLAG);
      return bytes;
    },
    threads: createNodeThreads(),
    scratch: nodeScratchFiles(),
    now: () => performance.now(),
    pause: () => new Promise((resolve) => setImmediate(resolve)),
    peakMemoryBytes: () => process.resourceUsage().maxRSS * 1024,
  };
}

/**
 * Opens `model`: the path of a file or of a Hugging Face folder, the word "embedded" ("./embedded" is a file of that name), or
 * "hf:owner/repo", which is downloaded unless the cache has it.
 * Throws ConfigError when there is none or it cannot be read.
 */
export async function openNodeModel(model: string, download: DownloadOptions = {}): Promise<ModelSource> {
  if (isHubReference(model)) {
    const { downloadModel } = await import('./hub/download.ts');
    return openLocal(await downloadModel(model, download));
  }
  if (model === 'embedded') return { kind: 'file', source: await openEmbedded() };
  return openLocal(model);
}

/** Opens an adapter: the path of a GGUF file, or of a folder that PEFT wrote. Throws ConfigError when there is none. */
export async function openNodeAdapter(path: string): Promise<ModelSource> {
  if ((await statOrNull(path)) !== null) return openLocal(path);
  throw new ConfigError(`lora "${path}": there is no such file or folder; give a GGUF adapter or a folder of PEFT`);
}

async function openLocal(model: string): Promise<ModelSource> {
  const info = await statOrNull(model);
  if (info === null) {
    throw new ConfigError(
      `model "${model}": there is no such file or folder; give a .gguf file, a Hugging Face folder or "embedded"`,
    );
  }
  if (info.isDirectory()) return { kind: 'folder', folder: openNodeFolder(model) };
  return { kind: 'file', source: await openNodeFile(model), folder: openNodeFolder(dirname(model)) };
}

/** The same for an image classifier: "embedded" is the folder of the package's own one. */
export async function openNodeClassifier(model: string, download: DownloadOptions = {}): Promise<ModelSource> {
  return openNodeModel(model === 'embedded' ? fileURLToPath(EMBEDDED_CLASSIFIER) : model, download);
}

/** The files of a folder by name. `open` throws ConfigError for a name with a path in it, or a file that cannot be read. */
export function openNodeFolder(path: string): SourceFolder {
  return {
    name: path,
    async open(fileName) {
      const full = join(path, plainName(path, fileName));
      return (await statOrNull(full))?.isFile() ? openNodeFile(full) : null;
    },
    folder: (folderName) => openNodeFolder(join(path, plainName(path, folderName))),
  };
}

/** Names come from index files: one that leads out of the folder is refused. */
function plainName(path: string, name: string): string {
  if (name !== '' && name !== '.' && name !== '..' && basename(name) === name && !name.includes('\\')) return name;
  throw new ConfigError(`${path}: "${name}" is not a plain file name; a model's files lie in one folder`);
}

async function openEmbedded() {
  const path = fileURLToPath(EMBEDDED_MODEL);
  if ((await statOrNull(path)) === null) {
    throw new ConfigError(`the embedded model is missing at ${path}; install the package again`);
  }
  return openNodeFile(path);
}

/** null when nothing is there; what cannot be looked at is an error. */
async function statOrNull(path: string) {
  try {
    return await stat(path);
  } catch (e) {
    if (isMissing(e)) return null;
    throw systemError(`model "${path}"`, e);
  }
}

function runtimeName(): string {
  const { deno, bun } = process.versions;
  if (deno !== undefined) return `deno v${deno}`;
  return bun !== undefined ? `bun v${bun}` : `node ${process.version}`;
}

/** Hosts without V8 have no flags to set; what they lack stays missing. */
function trySetFlag(flag: string): void {
  try {
    setFlagsFromString(flag);
  } catch {
    // Bun: not implemented. The module then does not validate, and the simd build runs.
  }
}
