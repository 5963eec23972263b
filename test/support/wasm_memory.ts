import { describe, test } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import type { KernelBuild } from '../../src/core/host.ts';
import type { Arena } from '../../src/exec/wasm/arena.ts';
import { type DotTrial, quadsAreRight } from '../../src/exec/wasm/dot_form.ts';
import { instantiateKernels } from '../../src/exec/wasm/instantiate.ts';
import type { DotForm, Kernels } from '../../src/exec/wasm/kernels.ts';
import { createNodeHost } from '../../src/platform/node.ts';

/** Bytes of canary on each side of every array, and what they hold; an output holds it too until it is written. */
const CANARY_BYTES = 64;
const CANARY = 0xa5;
/** The f32 that four canary bytes are: an element that was never written. */
export const UNWRITTEN = new Float32Array(new Uint8Array(4).fill(CANARY).buffer)[0]!;

/** Enough for the largest case of any kernel test. */
const REGION_BYTES = 2 ** 23;

export interface KernelBench {
  readonly build: KernelBuild;
  readonly kernels: Kernels;
  readonly arena: Arena;
  readonly memory: TestMemory;
}

interface Guarded {
  readonly address: number;
  readonly nBytes: number;
  /** What an input held when it was placed; undefined for outputs. */
  readonly before: Uint8Array | undefined;
}

/** Arrays in WASM memory between canaries, at addresses that are `skew` bytes off a multiple of 64. */
export class TestMemory {
  readonly #arena: Arena;
  readonly #region: number;
  #next: number;
  #placed: Guarded[] = [];

  constructor(arena: Arena) {
    this.#arena = arena;
    this.#region = arena.alloc(REGION_BYTES, CANARY_BYTES);
    this.#next = this.#region;
  }

  /** Forgets all arrays: the start of a case. */
  reset(): void {
    this.#next = this.#region;
    this.#placed = [];
  }

  /** Copies an input. A skew of 4 to 12 puts f32 arrays across vector borders. */
  put(values: Float32Array | Int32Array | Uint8Array, skew = 0): number {
    const source = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
    return this.#place(source.byteLength, skew, source.slice());
  }

  /** Room for an output of nBytes. */
  room(nBytes: number, skew = 0): number {
    return this.#place(nBytes, skew, undefined);
  }

  f32(address: number, n: number): Float32Array {
    return this.#arena.f32(address, n).slice();
  }

  bytes(address: number, n: number): Uint8Array {
    return this.#arena.bytes(address, n).slice();
  }

  /** The live view: what a mutant computes with. */
  view(): Float32Array {
    return new Float32Array(this.#arena.memory.buffer);
  }

  /** Throws when a canary or an input has changed. `written`: inputs that the call may overwrite. */
  check(written: readonly number[] = []): void {
    for (const { address, nBytes, before } of this.#placed) {
      for (const [what, from] of [
        ['before', address - CANARY_BYTES],
        ['behind', address + nBytes],
      ] as const) {
        const at = this.#arena.bytes(from, CANARY_BYTES).findIndex((b) => b !== CANARY);
        if (at >= 0) throw new Error(`wrote ${what} an array of ${nBytes} bytes, at ${from + at - address}`);
      }
      if (before === undefined || written.includes(address)) continue;
      const now = this.#arena.bytes(address, nBytes);
      if (before.some((b, i) => b !== now[i])) throw new Error(`changed an input of ${nBytes} bytes`);
    }
  }

  #place(nBytes: number, skew: number, before: Uint8Array | undefined): number {
    const address = Math.ceil((this.#next + CANARY_BYTES) / CANARY_BYTES) * CANARY_BYTES + skew;
    const end = address + nBytes + CANARY_BYTES;
    if (end > this.#region + REGION_BYTES) throw new Error(`test case needs more than ${REGION_BYTES} bytes`);
    this.#arena.bytes(address - CANARY_BYTES, nBytes + 2 * CANARY_BYTES).fill(CANARY);
    if (before !== undefined) this.#arena.bytes(address, nBytes).set(before);
    this.#next = end;
    this.#placed.push({ address, nBytes, before });
    return address;
  }
}

const HOST = createNodeHost();
const BUILDS: readonly KernelBuild[] = ['simd', 'relaxed'];
/** All: those without kernels too. */
const FORMATS = Object.keys(DTYPES) as DType[];
const BENCHES = new Map<KernelBuild, KernelBench>();
for (const build of BUILDS) {
  const source = await HOST.kernelModule(build, 'core');
  if (!(source instanceof Uint8Array)) throw new Error(`${build}.wasm is not built: run "npm run kernels"`);
  if (!WebAssembly.validate(source)) continue;
  const { kernels, arena } = await instantiateKernels(HOST, build, FORMATS, undefined, () => 'pairs');
  BENCHES.set(build, { build, kernels, arena, memory: new TestMemory(arena) });
}

/** One group of tests for each kernel build; a build that this host cannot run is a skipped test that says so. */
export function describeBuilds(title: string, body: (bench: KernelBench) => void): void {
  describe.each(BUILDS)(`${title} (%s)`, (build) => {
    const bench = BENCHES.get(build);
    if (bench !== undefined) body(bench);
    else {
      test(`SKIPPED: this host does not validate ${build}.wasm`, (context) => {
        context.skip(`${build}.wasm does not validate here`);
      });
    }
  });
}

/**
 * One group of tests with products summed as quads (src/exec/wasm/dot_form.ts), over a memory of its own; a host that has no relaxed
 * SIMD, or does quads wrong, is a skipped test that says so.
 */
export async function describeQuads(title: string, body: (bench: KernelBench) => void): Promise<void> {
  let reason = BENCHES.has('relaxed') ? undefined : 'does not validate relaxed.wasm';
  const form = (trial: DotTrial): DotForm => {
    if (!quadsAreRight(trial)) reason = 'adds up quads of products wrongly';
    return 'quads';
  };
  const loaded = reason === undefined ? await instantiateKernels(HOST, 'relaxed', FORMATS, undefined, form) : undefined;
  if (loaded === undefined || reason !== undefined) {
    test(`SKIPPED: ${title}: this host ${reason}`, (context) => context.skip(`this host ${reason}`));
    return;
  }
  const { kernels, arena } = loaded;
  describe(`${title} (quads)`, () => body({ build: 'relaxed', kernels, arena, memory: new TestMemory(arena) }));
}
