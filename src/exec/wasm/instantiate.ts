import type { DType } from '../../core/dtype.ts';
import { assert, KernelError } from '../../core/errors.ts';
import type { Host, KernelBuild, KernelModule, ThreadHost } from '../../core/host.ts';
import { type Arena, createArena, createMemory, createSharedMemory } from './arena.ts';
import { chooseDotForm, type DotTrial } from './dot_form.ts';
import { FORMAT_MODULES, formatKernels, type KernelFormat } from './format_kernels.ts';
import { checkedExport, coreKernels, type DotForm, type FormatKernels, type Kernels } from './kernels.ts';
import { sharedTwin } from './shared_module.ts';
import type { AnyKernel } from './shares.ts';
import { splitKernels } from './split_kernels.ts';
import { storedAs } from './stored_as.ts';
import { startThreadPool, type ThreadPool } from './thread_pool.ts';

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
  /** undefined: they run on one thread. */
  readonly pool: ThreadPool | undefined;
}

export interface ThreadChoice {
  readonly nThreads: number;
  /** Told in one line when fewer threads run. */
  readonly onNotice?: ((line: string) => void) | undefined;
  /** Nanoseconds of work that are worth a share; tests share out the smallest calls too. */
  readonly shareNs?: number;
}

type ModuleSource = WebAssembly.Module | Uint8Array<ArrayBuffer>;
type Sources = ReadonlyMap<KernelModule, ModuleSource>;

/**
 * Loads a kernel build into a memory of its own: the core module, and the modules of `formats` alone.
 *
 * Whether a host has relaxed SIMD is asked with WebAssembly.validate, so a platform that must switch it on does so before.
 * A host that compiles nothing at run time hands in modules, which are known to be valid.
 * formOf: how a format's products are summed; without it the host's clock decides (dot_form.ts). Same bits.
 * With several threads the memory is shared, and large calls are split between them; where the host cannot, one thread runs.
 * Throws KernelError when no chosen build was shipped, validates and links, naming each and the reason.
 */
export async function instantiateKernels(
  host: Pick<Host, 'kernelModule' | 'threads'> & Partial<Pick<Host, 'now'>>,
  choice: KernelChoice,
  formats: Iterable<DType>,
  threads: ThreadChoice = { nThreads: 1 },
  formOf?: (trial: DotTrial) => DotForm,
): Promise<LoadedKernels> {
  const asked = [...formats];
  const names: readonly KernelModule[] = ['core', ...new Set(asked.map(storedAs))];
  const reasons: string[] = [];
  for (const build of choice === 'auto' ? BY_SPEED : [choice]) {
    const sources = await loadModules(host, build, names);
    if (typeof sources === 'string') {
      reasons.push(sources);
      continue;
    }
    const choose = formOf ?? ((trial: DotTrial) => freeForm(build, trial, host.now));
    if (threads.nThreads > 1) {
      const loaded = await linkShared(host.threads, threads, build, sources, choose, asked);
      if (typeof loaded !== 'string') return loaded;
      threads.onNotice?.(`threads: 1 instead of ${threads.nThreads}: ${loaded}`);
    }
    const memory = createMemory();
    const { exports, heapBase } = await link(build, sources, memory);
    const arena = createArena(memory, heapBase);
    const table = kernelTable(build, exports, arena, choose);
    return { build, kernels: await withAllFormats(table.kernels, memory, asked), arena, pool: undefined };
  }
  const advice = choice === 'relaxed' ? '; use --kernels auto' : '';
  throw new KernelError(`no kernels to run: ${reasons.join('; ')}${advice}`);
}

/** The kernels, and those of rare formats, whose code few models need. */
async function withAllFormats(kernels: Kernels, memory: WebAssembly.Memory, asked: readonly DType[]): Promise<Kernels> {
  if (asked.every((dtype) => storedAs(dtype) === dtype)) return kernels;
  const { withUnpackedFormats } = await import('./unpacked_kernels.ts');
  return withUnpackedFormats(kernels, memory);
}

/** The kernels over shared memory, and workers that take their shares; or why this host cannot. */
async function linkShared(
  host: ThreadHost | string,
  { nThreads, shareNs }: ThreadChoice,
  build: KernelBuild,
  sources: Sources,
  formOf: (trial: DotTrial) => DotForm,
  asked: readonly DType[],
): Promise<LoadedKernels | string> {
  if (typeof host === 'string') return host;
  const twins = new Map<KernelModule, WebAssembly.Module>();
  for (const [name, source] of sources) {
    if (!(source instanceof Uint8Array)) return 'the kernels are compiled already, for memory that is not shared';
    twins.set(name, await WebAssembly.compile(sharedTwin(source)));
  }
  let memory: WebAssembly.Memory;
  try {
    memory = createSharedMemory();
  } catch (e) {
    return `no shared memory (${(e as Error).message})`;
  }
  const { exports, heapBase } = await link(build, twins, memory);
  const arena = createArena(memory, heapBase);
  const { kernels: whole, forms } = kernelTable(build, exports, arena, formOf);

  const ids = new Map<string, number>();
  const own: AnyKernel[] = [];
  const kernels: [module: number, name: string][] = [];
  for (const [module, [moduleName, table]] of [...exports].entries()) {
    for (const [name, kernel] of Object.entries(table)) {
      ids.set(`${moduleName}.${name}`, own.length);
      own.push(kernel as AnyKernel);
      kernels.push([module, name]);
    }
  }
  let pool: ThreadPool;
  try {
    pool = await startThreadPool(host, nThreads, own, { modules: [...twins.values()], kernels, memory }, shareNs);
  } catch (e) {
    return `a worker does not start (${(e as Error).message})`;
  }
  const kernelId = (module: KernelModule, name: string): number => ids.get(`${module}.${name}`)!;
  const formats = [...twins.keys()].filter((name) => name !== 'core');
  const split = await withAllFormats(splitKernels(whole, build, formats, pool, kernelId, forms), memory, asked);
  return { build, kernels: split, arena, pool };
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
): Promise<{ exports: ReadonlyMap<KernelModule, WebAssembly.Exports>; heapBase: number }> {
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
  return { exports, heapBase };
}

/** The form of a format's products where none is asked for. It takes some milliseconds. */
function freeForm(build: KernelBuild, trial: DotTrial, now: (() => number) | undefined): DotForm {
  return build === 'relaxed' && now !== undefined ? chooseDotForm(trial, now) : 'pairs';
}

/** The kernels of all modules; forms: those of the formats that have both. */
function kernelTable(
  build: KernelBuild,
  exports: ReadonlyMap<KernelModule, WebAssembly.Exports>,
  arena: Arena,
  formOf: (trial: DotTrial) => DotForm,
): { kernels: Kernels; forms: ReadonlyMap<DType, DotForm> } {
  const core = coreKernels(exports.get('core')!, `${build}/core.wasm`);
  const formats = new Map<DType, FormatKernels>();
  const forms = new Map<DType, DotForm>();
  for (const [name, of] of exports) {
    if (!Object.hasOwn(FORMAT_MODULES, name)) continue;
    const dtype = name as KernelFormat;
    const tableOf = (form: DotForm) => formatKernels(dtype, of, `${build}/${name}.wasm`, form);
    const [pairs, quads] = [tableOf('pairs'), tableOf('quads')];
    if (pairs.q8 !== undefined && quads.q8 !== undefined && pairs.q8 !== quads.q8) {
      const { quantizeRowsQ8 } = core;
      forms.set(dtype, formOf({ dtype, pairs: pairs.q8, quads: quads.q8, quantizeRowsQ8, arena }));
    }
    formats.set(dtype, forms.get(dtype) === 'quads' ? quads : pairs);
  }
  const kernels: Kernels = {
    ...core,
    format(dtype) {
      const found = formats.get(dtype);
      assert(found !== undefined, `the kernels of ${dtype} are loaded`);
      return found;
    },
  };
  return { kernels, forms };
}
