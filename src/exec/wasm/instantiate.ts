import { KernelError } from '../../core/errors.ts';
import type { Host, KernelBuild } from '../../core/host.ts';
import { type Arena, createArena, createMemory } from './arena.ts';
import { checkedKernels, type Kernels } from './kernels.ts';

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

/**
 * Loads a kernel build into a memory of its own.
 *
 * Whether a host has relaxed SIMD is asked with WebAssembly.validate, so a platform that must switch it on does so before.
 * A host that compiles nothing at run time hands in modules, which are known to be valid.
 * Throws KernelError when no chosen build was shipped, validates and links, naming each and the reason.
 */
export async function instantiateKernels(
  host: Pick<Host, 'kernelModule'>,
  choice: KernelChoice,
): Promise<LoadedKernels> {
  const reasons: string[] = [];
  for (const build of choice === 'auto' ? BY_SPEED : [choice]) {
    const source = await host.kernelModule(build);
    if (source === null) reasons.push(`${build} was not shipped ("npm run kernels" builds it)`);
    else if (source instanceof Uint8Array && !WebAssembly.validate(source)) {
      reasons.push(`${build} does not validate on this host`);
    } else {
      const memory = createMemory();
      const kernels = await link(build, source, memory);
      return { build, kernels, arena: createArena(memory, kernels.heapBase()) };
    }
  }
  const advice = choice === 'relaxed' ? '; use --kernels auto' : '';
  throw new KernelError(`no kernels to run: ${reasons.join('; ')}${advice}`);
}

/** Compiles (bytes) and instantiates one build with `memory` as its import. */
async function link(
  build: KernelBuild,
  source: WebAssembly.Module | Uint8Array<ArrayBuffer>,
  memory: WebAssembly.Memory,
): Promise<Kernels> {
  const module = source instanceof Uint8Array ? await WebAssembly.compile(source) : source;
  let instance: WebAssembly.Instance;
  try {
    instance = await WebAssembly.instantiate(module, { env: { memory } });
  } catch (cause) {
    throw new KernelError(`${build}.wasm cannot be linked: ${(cause as Error).message}`, { cause });
  }
  return checkedKernels(instance.exports, `${build}.wasm`);
}
