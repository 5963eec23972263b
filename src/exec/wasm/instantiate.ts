import type { DType } from '../../core/dtype.ts';
import { assert, KernelError } from '../../core/errors.ts';
import type { Host, KernelBuild, KernelModule } from '../../core/host.ts';
import { type Arena, createArena, createMemory } from './arena.ts';
import { FORMAT_MODULES, formatKernels, type KernelFormat } from './format_kernels.ts';
import { checkedExport, coreKernels, type FormatKernels, type Kernels } from './kernels.ts';

/** `auto` takes the best build that the host validates; both give the same bits. */
export type KernelChoice = KernelBuild | 'auto';

/** The best first. `relaxed` needs relaxed SIMD (part of WebAssembly 3.0); `simd` runs wherever WASM has vectors. */
const BY_SPEED: readonly KernelBuild[] = ['relaxed', 'simd'];

export interface LoadedKernels {
  /** Which build runs: for the figures line. */
  readonly build: KernelBuild;
  readonly kernels: Kernels;
  /** The kernels' memory, beyond their own constants. */
  readonly arena: Arena;
}

type ModuleSource = WebAssembly.Module | Uint8Array<ArrayBuffer>;
type Sources = ReadonlyMap<KernelModule, ModuleSource>;

/**
 * Loads a kernel build into a memory of its own: the core module, and the modules of `formats` alone.
 *
 * Whether a host has relaxed SIMD is asked with WebAssembly.validate, so a platform that must switch it on does so before.
 * A host that compiles nothing at run time hands in modules, which are known to be valid.
 * Throws KernelError when no chosen build was shipped, validates and links, naming each and the reason.
 */
export async function instantiateKernels(
  host: Pick<Host, 'kernelModule'>,
  choice: KernelChoice,
  formats: Iterable<DType>,
): Promise<LoadedKernels> {
  const names: readonly KernelModule[] = ['core', ...new Set(formats)];
  const reasons: string[] = [];
  for (const build of choice === 'auto' ? BY_SPEED : [choice]) {
    const sources = await loadModules(host, build, names);
    if (typeof sources === 'string') reasons.push(sources);
    else {
      const memory = createMemory();
      const { kernels, heapBase } = await link(build, sources, memory);
      return { build, kernels, arena: createArena(memory, heapBase) };
    }
  }
  const advice = choice === 'relaxed' ? '; use --kernels auto' : '';
  throw new KernelError(`no kernels to run: ${reasons.join('; ')}${advice}`);
}

/** All of a build's named modules, or why one of them does not run. */
async function loadModules(
  host: Pick<Host, 'kernelModule'>,
  build: KernelBuild,
  names: readonly KernelModule[],
): Promise<Sources | string> {
  const loaded = await Promise.all(names.map((name) => host.kernelModule(build, name)));
  const sources = new Map<KernelModule, ModuleSource>();
  for (const [i, name] of names.entries()) {
    const source = loaded[i]!;
    if (source === null) return `${build}/${name}.wasm was not shipped ("npm run kernels" builds it)`;
    if (source instanceof Uint8Array && !WebAssembly.validate(source)) {
      return `${build}/${name}.wasm does not validate on this host`;
    }
    sources.set(name, source);
  }
  return sources;
}

/** Compiles (bytes) and instantiates modules with `memory` as their import. heapBase: where the last one's constants end. */
async function link(
  build: KernelBuild,
  sources: Sources,
  memory: WebAssembly.Memory,
): Promise<{ kernels: Kernels; heapBase: number }> {
  const exports = new Map<KernelModule, WebAssembly.Exports>();
  let heapBase = 0;
  for (const [name, source] of sources) {
    const moduleName = `${build}/${name}.wasm`;
    const module = source instanceof Uint8Array ? await WebAssembly.compile(source) : source;
    let instance: WebAssembly.Instance;
    try {
      instance = await WebAssembly.instantiate(module, { env: { memory } });
    } catch (cause) {
      throw new KernelError(`${moduleName} cannot be linked: ${(cause as Error).message}`, { cause });
    }
    exports.set(name, instance.exports);
    const end = checkedExport(instance.exports, moduleName, 'heapBase', 0) as () => number;
    heapBase = Math.max(heapBase, end());
  }
  return { kernels: kernelTable(build, exports), heapBase };
}

function kernelTable(build: KernelBuild, exports: ReadonlyMap<KernelModule, WebAssembly.Exports>): Kernels {
  const formats = new Map<DType, FormatKernels>();
  for (const [name, of] of exports) {
    if (Object.hasOwn(FORMAT_MODULES, name)) {
      const dtype = name as KernelFormat;
      formats.set(dtype, formatKernels(dtype, of, `${build}/${name}.wasm`));
    }
  }
  return {
    ...coreKernels(exports.get('core')!, `${build}/core.wasm`),
    format(dtype) {
      const found = formats.get(dtype);
      assert(found !== undefined, `the kernels of ${dtype} are loaded`);
      return found;
    },
  };
}
