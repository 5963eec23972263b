import { describe, expect, test } from 'vitest';
import { KernelError } from '../../../src/core/errors.ts';
import type { KernelBuild } from '../../../src/core/host.ts';
import { instantiateKernels } from '../../../src/exec/wasm/instantiate.ts';
import { checkedKernels } from '../../../src/exec/wasm/kernels.ts';
import { createNodeHost } from '../../../src/platform/node.ts';

const HOST = createNodeHost();

/** A host that has the given builds alone. */
const hostWith = (builds: Partial<Record<KernelBuild, Uint8Array<ArrayBuffer> | WebAssembly.Module>>) => ({
  kernelModule: async (build: KernelBuild) => builds[build] ?? null,
});

async function bytesOf(build: KernelBuild): Promise<Uint8Array<ArrayBuffer>> {
  const source = await HOST.kernelModule(build);
  if (!(source instanceof Uint8Array)) throw new Error(`${build}.wasm is not built`);
  return source;
}

/** Magic number and version, then nothing: a valid module without exports; and bytes that are no module. */
const EMPTY_MODULE = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
const NO_MODULE = Uint8Array.of(1, 2, 3);

describe('instantiateKernels', () => {
  test('takes the best build that the host validates', async () => {
    const relaxed = await bytesOf('relaxed');
    const expected = WebAssembly.validate(relaxed) ? 'relaxed' : 'simd';
    expect((await instantiateKernels(HOST, 'auto')).build).toBe(expected);
  });

  test('goes on to simd where relaxed does not validate', async () => {
    const host = hostWith({ relaxed: NO_MODULE, simd: await bytesOf('simd') });
    expect((await instantiateKernels(host, 'auto')).build).toBe('simd');
  });

  test('takes a module that the host has compiled', async () => {
    const host = hostWith({ simd: new WebAssembly.Module(await bytesOf('simd')) });
    const { build, kernels, arena } = await instantiateKernels(host, 'auto');
    expect(build).toBe('simd');
    expect(arena.alloc(16)).toBeGreaterThanOrEqual(kernels.heapBase());
  });

  test('two instances share nothing', async () => {
    const host = hostWith({ simd: await bytesOf('simd') });
    const a = await instantiateKernels(host, 'simd');
    const b = await instantiateKernels(host, 'simd');
    expect(a.arena.memory).not.toBe(b.arena.memory);
  });

  test('says why no build runs', async () => {
    const error = new KernelError(
      'no kernels to run: relaxed does not validate on this host; simd was not shipped ("npm run kernels" builds it)',
    );
    await expect(instantiateKernels(hostWith({ relaxed: NO_MODULE }), 'auto')).rejects.toThrow(error);
    await expect(instantiateKernels(hostWith({ relaxed: NO_MODULE }), 'relaxed')).rejects.toThrow(
      /use --kernels auto$/,
    );
  });

  test('refuses a module without kernels, by the name of the first one', async () => {
    const rejected = expect(instantiateKernels(hostWith({ simd: EMPTY_MODULE }), 'simd')).rejects;
    await rejected.toThrow(new KernelError('simd.wasm has no kernel heapBase; rebuild it with "npm run kernels"'));
  });

  test('refuses a module that cannot be linked', async () => {
    // One import, "a"."b", a global i32 that the engine does not provide.
    const importing = Uint8Array.of(...EMPTY_MODULE, 2, 8, 1, 1, 0x61, 1, 0x62, 3, 0x7f, 0);
    await expect(instantiateKernels(hostWith({ simd: importing }), 'simd')).rejects.toThrow(
      /^simd\.wasm cannot be linked/,
    );
  });
});

describe('checkedKernels', () => {
  test('refuses a kernel with another number of parameters', async () => {
    const { kernels } = await instantiateKernels(HOST, 'simd');
    expect(checkedKernels({ ...kernels } as unknown as WebAssembly.Exports, 'm')).toBeDefined();
    const changed = { ...kernels, addF32: (_y: number, _a: number) => {} } as unknown as WebAssembly.Exports;
    expect(() => checkedKernels(changed, 'm')).toThrow('m: kernel addF32 takes 2 parameters, expected 4');
  });

  test('the table and the module have the same kernels', async () => {
    for (const build of ['simd', 'relaxed'] as const) {
      const bytes = await bytesOf(build);
      if (!WebAssembly.validate(bytes)) continue;
      const exported = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).map((e) => e.name);
      for (const name of exported) {
        // Taking one away must be noticed: then the table knows it.
        const { kernels } = await instantiateKernels(HOST, build);
        const without: Record<string, unknown> = { ...kernels };
        delete without[name];
        expect(() => checkedKernels(without as WebAssembly.Exports, build)).toThrow(`${build} has no kernel ${name};`);
      }
    }
  });
});
