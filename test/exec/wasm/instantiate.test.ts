import { describe, expect, test } from 'vitest';
import { KernelError } from '../../../src/core/errors.ts';
import type { KernelBuild, KernelModule } from '../../../src/core/host.ts';
import { createWasmExecutor } from '../../../src/exec/wasm/executor.ts';
import { FORMAT_MODULES, formatKernels, type KernelFormat } from '../../../src/exec/wasm/format_kernels.ts';
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import { coreKernels } from '../../../src/exec/wasm/kernels.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { createNodeHost } from '../../../src/platform/node.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';

const HOST = createNodeHost();
const FORMATS = Object.keys(FORMAT_MODULES) as KernelFormat[];
const MODULES: readonly ('core' | KernelFormat)[] = ['core', ...FORMATS];

type Source = Uint8Array<ArrayBuffer> | WebAssembly.Module;

/** A host that has the given builds' core modules alone, and Node's modules of formats. */
const hostWith = (cores: Partial<Record<KernelBuild, Source>>) => ({
  threads: 'none here',
  kernelModule: async (build: KernelBuild, name: KernelModule) =>
    name === 'core' ? (cores[build] ?? null) : HOST.kernelModule(build, name),
});

async function bytesOf(build: KernelBuild, name: KernelModule = 'core'): Promise<Uint8Array<ArrayBuffer>> {
  const source = await HOST.kernelModule(build, name);
  if (!(source instanceof Uint8Array)) throw new Error(`${build}/${name}.wasm is not built`);
  return source;
}

/** Magic number and version, then nothing: a valid module without exports; and bytes that are no module. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const NO_MODULE = Uint8Array.of(1, 2, 3);

describe('instantiateKernels', () => {
  test('takes the best build that the host validates', async () => {
    const relaxed = await bytesOf('relaxed');
    const expected = WebAssembly.validate(relaxed) ? 'relaxed' : 'simd';
    expect((await instantiateKernels(HOST, 'auto', ['f32'])).build).toBe(expected);
  });

  test('goes on to simd where a module of relaxed does not validate', async () => {
    const noCore = hostWith({ relaxed: NO_MODULE, simd: await bytesOf('simd') });
    expect((await instantiateKernels(noCore, 'auto', [])).build).toBe('simd');
    const noFormat = {
      threads: 'none here',
      kernelModule: async (build: KernelBuild, name: KernelModule) =>
        build === 'relaxed' && name === 'q4_0' ? NO_MODULE : HOST.kernelModule(build, name),
    };
    expect((await instantiateKernels(noFormat, 'auto', ['q8_0', 'q4_0'])).build).toBe('simd');
  });

  test('takes a module that the host has compiled', async () => {
    const host = hostWith({ simd: new WebAssembly.Module(await bytesOf('simd')) });
    const { build, kernels, arena } = await instantiateKernels(host, 'auto', []);
    expect(build).toBe('simd');
    expect(arena.alloc(16)).toBeGreaterThanOrEqual(kernels.heapBase());
  });

  test('a model loads the modules of its own formats, each once', async () => {
    const { config, tensors } = tinyLlama({ seed: 1, dtype: 'q4_0', tied: true });
    const asked: KernelModule[] = [];
    const host = {
      ...HOST,
      kernelModule(build: KernelBuild, name: KernelModule) {
        asked.push(name);
        return HOST.kernelModule(build, name);
      },
    };
    const graph = buildLlama(config, tensors, 'q8');
    // Norms are f32 in every file: one axis needs no kernels.
    expect(new Set(graph.nodes.flatMap((n) => (n.op === 'weight' ? [n.dtype] : [])))).toContain('f32');
    (await createWasmExecutor({ graph, tensors, host, kernels: 'simd' })).dispose();
    expect(asked.sort()).toEqual(['core', 'q4_0']);
  });

  test('a format without a module is unpacked for the kernels of f32', async () => {
    const { kernels } = await instantiateKernels(HOST, 'simd', ['iq3_s', 'f32']);
    const { repack, ...rest } = kernels.format('iq3_s');
    const f32 = kernels.format('f32');
    expect(rest).toEqual({ embed: f32.embed, f32: f32.f32, q8: undefined });
    expect(repack).not.toBe(f32.repack);
  });

  test('a format that was not asked for has no kernels', async () => {
    const { kernels } = await instantiateKernels(HOST, 'simd', ['q8_0']);
    expect(kernels.format('q8_0').q8).toBeDefined();
    expect(() => kernels.format('q4_0')).toThrow('the kernels of q4_0 are loaded');
  });

  test('two instances share nothing', async () => {
    const host = hostWith({ simd: await bytesOf('simd') });
    const a = await instantiateKernels(host, 'simd', []);
    const b = await instantiateKernels(host, 'simd', []);
    expect(a.arena.memory).not.toBe(b.arena.memory);
  });

  test('says why no build runs', async () => {
    const error = new KernelError(
      'no kernels to run: relaxed/core.wasm does not validate on this host; ' +
        'simd/core.wasm was not shipped ("npm run kernels" builds it)',
    );
    await expect(instantiateKernels(hostWith({ relaxed: NO_MODULE }), 'auto', [])).rejects.toThrow(error);
    await expect(instantiateKernels(hostWith({ relaxed: NO_MODULE }), 'relaxed', [])).rejects.toThrow(
      /use --kernels auto$/,
    );
  });

  test('refuses a module without kernels, by the name of the first one', async () => {
    const rejected = expect(instantiateKernels(hostWith({ simd: EMPTY_MODULE }), 'simd', [])).rejects;
    await rejected.toThrow(new KernelError('simd/core.wasm has no kernel heapBase; rebuild it with "npm run kernels"'));
  });

  test('refuses a module that cannot be linked', async () => {
    // One import, "a"."b", a global i32 that the engine does not provide.
    const importing = Uint8Array.of(...EMPTY_MODULE, 2, 8, 1, 1, 0x61, 1, 0x62, 3, 0x7f, 0);
    await expect(instantiateKernels(hostWith({ simd: importing }), 'simd', [])).rejects.toThrow(
      /^simd\/core\.wasm cannot be linked/,
    );
  });
});

/** Every module of every build that validates here, with its exports in a memory of its own. */
async function eachModule(
  visit: (name: 'core' | KernelFormat, exports: WebAssembly.Exports, memory: WebAssembly.Memory) => void,
) {
  for (const build of ['simd', 'relaxed'] as const) {
    for (const name of MODULES) {
      const bytes = await bytesOf(build, name);
      if (!WebAssembly.validate(bytes)) continue;
      const memory = new WebAssembly.Memory({ initial: 1, maximum: 65536 });
      const { instance } = await WebAssembly.instantiate(bytes, { env: { memory } });
      visit(name, instance.exports, memory);
    }
  }
}

/** Reads a module's table. */
function read(name: 'core' | KernelFormat, exports: WebAssembly.Exports): unknown {
  return name === 'core' ? coreKernels(exports, 'm') : formatKernels(name, exports, 'm');
}

describe('the tables of kernels', () => {
  test('refuse a kernel with another number of parameters', async () => {
    await eachModule((name, exports) => {
      const kernel = name === 'core' ? 'addF32' : FORMAT_MODULES[name].embed;
      const changed = { ...exports, [kernel]: (_y: number) => {} };
      expect(() => read(name, changed)).toThrow(`m: kernel ${kernel} takes 1 parameters, expected`);
    });
  });

  test('and the modules have the same kernels', async () => {
    await eachModule((name, exports) => {
      for (const kernel of Object.keys(exports)) {
        // Taking one away must be noticed: then the table knows it. All modules tell their heapBase.
        const { [kernel]: _, ...without } = exports;
        if (name !== 'core' && kernel === 'heapBase') continue;
        expect(() => read(name, without)).toThrow(`m has no kernel ${kernel};`);
      }
    });
  });
});

test('the constants of each module lie in a region of its own', async () => {
  const ends = new Map<KernelModule, number>();
  const written = new Map<number, KernelModule>();
  await eachModule((name, exports, memory) => {
    const end = (exports['heapBase'] as () => number)();
    ends.set(name, Math.max(end, ends.get(name) ?? 0));
    const bytes = new Uint8Array(memory.buffer);
    expect(
      bytes.subarray(end).every((b) => b === 0),
      `${name} writes nothing beyond its heapBase`,
    ).toBe(true);
    bytes.forEach((b, at) => {
      if (b === 0) return;
      expect(written.get(at) ?? name, `byte ${at}`).toBe(name);
      written.set(at, name);
    });
  });
  expect(written.size).toBeGreaterThan(0);
  const { arena } = await instantiateKernels(HOST, 'simd', FORMATS);
  expect(arena.alloc(16)).toBeGreaterThanOrEqual(Math.max(...ends.values()));
});
