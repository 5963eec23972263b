import fc from 'fast-check';
import { afterAll, describe, expect, test } from 'vitest';
import { KernelError } from '../../../src/core/errors.ts';
import type { Host, ThreadHost } from '../../../src/core/host.ts';
import type { Executor } from '../../../src/exec/executor.ts';
import { createWasmExecutor } from '../../../src/exec/wasm/executor.ts';
import { instantiateKernels, type LoadedKernels } from '../../../src/exec/wasm/instantiate.ts';
import { sharedTwin } from '../../../src/exec/wasm/shared_module.ts';
import { startThreadPool } from '../../../src/exec/wasm/thread_pool.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { BUILDS, firstDifference, HOST, logitsInChunks } from '../../support/executors.ts';
import { CONFIG, expectSameBits, IDS, SPLIT_FORMS } from '../../support/thread_forms.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';

/** Law 2 over threads, with real workers; even the smallest calls are shared out. */

const THREADS = HOST.threads as ThreadHost;

describe.each(BUILDS)('%s kernels', (build) => {
  // Three threads in one build, two in the other: what is split is the same in both. One layer has every kind of call.
  const counts = build === 'relaxed' ? [1, 3] : [1, 2];
  test.each(SPLIT_FORMS)(
    `%s weights, %s activations: ${counts.join(' and ')} threads have the same bits`,
    async (dtype, form) => expectSameBits(build, [dtype, form], counts, 1),
  );
});

describe('the pool', () => {
  const made: LoadedKernels[] = [];
  const load = async (
    nThreads: number,
    host: Pick<Host, 'kernelModule' | 'threads'> = HOST,
  ): Promise<LoadedKernels> => {
    const loaded = await instantiateKernels(host, 'simd', ['f32'], { nThreads, shareNs: 1 });
    made.push(loaded);
    return loaded;
  };
  afterAll(() => {
    for (const { pool } of made) pool?.dispose();
  });

  const pools: Record<number, Promise<LoadedKernels>> = { 2: load(2), 3: load(3) };

  /** In place, each element says how often it was computed. */
  const computedOnce = (nThreads: number, change: (n: number) => number = (n) => n) =>
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 40 }), async (sizes) => {
      const { kernels, arena } = await pools[nThreads]!;
      const [y, ones] = [arena.alloc(12_000 + 64), arena.alloc(12_000)];
      arena.f32(ones, 3000).fill(1);
      arena.f32(y, 3016).fill(0);
      const expected = new Float32Array(3016);
      for (const n of sizes) {
        kernels.addF32(y, y, ones, change(n));
        for (let i = 0; i < n; i++) expected[i]! += 1;
      }
      expect(firstDifference(arena.f32(y, 3016), expected)).toBeUndefined();
      arena.free(y);
      arena.free(ones);
    });
  test.each([2, 3])('%i threads compute every element of many calls once', async (n) => {
    await fc.assert(computedOnce(n));
  });

  test('and a split that drops the last elements, or takes some twice, is caught', async () => {
    for (const change of [(n: number) => n & ~3, (n: number) => n + 1]) {
      expect((await fc.check(computedOnce(2, change), { seed: 1, endOnFailure: true })).failed).toBe(true);
    }
  });

  test('workers see memory that grew after they had started, and sleepers wake', async () => {
    const { kernels, arena } = await load(2);
    for (const mb of [1, 40, 90]) {
      const n = mb * 2 ** 18;
      const y = arena.alloc(4 * n);
      arena.f32(y, n).fill(0.5);
      await new Promise((resolve) => setTimeout(resolve, 20)); // longer than a worker looks for work
      kernels.addF32(y, y, y, n);
      expect(arena.f32(y, n).every((v) => v === 1)).toBe(true);
    }
  });

  test('a kernel that fails is a KernelError, and so is every use of the pool after it', async () => {
    const { kernels, pool } = await load(2);
    const outside = 2 ** 32 - 2 ** 20;
    expect(() => kernels.addF32(outside, outside, outside, 1000)).toThrow(KernelError);
    expect(() => pool!.check()).toThrow(/^threads: .*; load the model again, or run it on 1 thread$/);
  });

  test('a kernel that fails in a worker alone is found while it is waited for', async () => {
    // The worker's kernel is the real one at an address where nothing is; the main thread's is busy until the worker has failed.
    const bytes = sharedTwin((await HOST.kernelModule('simd', 'core')) as Uint8Array<ArrayBuffer>);
    const start = {
      modules: [await WebAssembly.compile(bytes)],
      kernels: [[0, 'addF32']] as const,
      memory: new WebAssembly.Memory({ initial: 1, maximum: 65536, shared: true }),
    };
    const busy = (): void => {
      for (const until = performance.now() + 200; performance.now() < until; );
    };
    const pool = await startThreadPool(THREADS, 2, [busy], start);
    const nowhere = 2 ** 30;
    const split = { countAt: 3, steps: [], grain: 4, unitNs: 1e6 };
    expect(() => pool.share(0, [nowhere, nowhere, nowhere, 8], split)).toThrow(
      new KernelError('threads: a kernel failed in worker 1; load the model again, or run it on 1 thread'),
    );
    pool.dispose();
  });

  test('a worker that cannot start leaves one thread and a notice, and none of the others', async () => {
    let nEnded = 0;
    const threads: ThreadHost = {
      available: 4,
      async startWorker(start, onEnd) {
        if (start.thread === 2) throw new Error('no room');
        const worker = await THREADS.startWorker(start, onEnd);
        return {
          terminate() {
            nEnded++;
            worker.terminate();
          },
        };
      },
    };
    const lines: string[] = [];
    const host = { kernelModule: HOST.kernelModule, threads };
    const loaded = await instantiateKernels(host, 'simd', ['f32'], { nThreads: 4, onNotice: (l) => lines.push(l) });
    expect(loaded.pool).toBeUndefined();
    expect(loaded.arena.memory.buffer).toBeInstanceOf(ArrayBuffer);
    expect(nEnded).toBe(2);
    expect(lines).toEqual(['threads: 1 instead of 4: a worker does not start (no room)']);
  });

  test('a host without threads runs on one, and says why', async () => {
    const lines: string[] = [];
    const host = { kernelModule: HOST.kernelModule, threads: 'this host has no workers' };
    const onNotice = (line: string): void => void lines.push(line);
    expect((await instantiateKernels(host, 'simd', ['f32'], { nThreads: 2, onNotice })).pool).toBeUndefined();
    expect(lines).toEqual(['threads: 1 instead of 2: this host has no workers']);
  });
});

describe('an executor whose worker', () => {
  const tiny = tinyLlama({ seed: 3, dtype: 'q4_0', config: CONFIG });
  /** Gives what stops one worker as if it had ended by itself. */
  async function withWorkers(): Promise<{ executor: Executor; end: () => void; ended: string[] }> {
    const ended: string[] = [];
    let end = (): void => {};
    const threads: ThreadHost = {
      available: 2,
      async startWorker(start, onEnd) {
        const worker = await THREADS.startWorker(start, (reason) => {
          ended.push(reason);
          onEnd(reason);
        });
        end = () => onEnd('exit code 9');
        return worker;
      },
    };
    const graph = optimize(buildLlama(tiny.config, tiny.tensors, 'q8'));
    const host = { ...HOST, threads };
    const options = { graph, tensors: tiny.tensors, host, kernels: 'simd' as const };
    const executor = await createWasmExecutor({ ...options, threads: { nThreads: 2, shareNs: 1 } });
    return { executor, end, ended };
  }

  test('ended throws KernelError at the next run', async () => {
    const { executor, end } = await withWorkers();
    logitsInChunks(executor, IDS, []);
    end();
    const error = 'threads: worker 1 ended: exit code 9; load the model again, or run it on 1 thread';
    expect(() => logitsInChunks(executor, IDS, [])).toThrow(new KernelError(error));
    executor.dispose();
  });

  test('was started for a model that then cannot be read ends too', async () => {
    let nRunning = 0;
    const threads: ThreadHost = {
      available: 2,
      async startWorker(start, onEnd) {
        const worker = await THREADS.startWorker(start, onEnd);
        nRunning++;
        return {
          terminate() {
            nRunning--;
            worker.terminate();
          },
        };
      },
    };
    const graph = optimize(buildLlama(tiny.config, tiny.tensors, 'q8'));
    const loading = createWasmExecutor({
      graph,
      tensors: tiny.tensors,
      host: { ...HOST, threads },
      kernels: 'simd',
      threads: { nThreads: 2 },
      read: { signal: AbortSignal.abort(new Error('no longer wanted')) },
    });
    await expect(loading).rejects.toThrow('no longer wanted');
    expect(nRunning).toBe(0);
  });

  test('is told to end by dispose is not missed', async () => {
    const { executor, ended } = await withWorkers();
    logitsInChunks(executor, IDS, []);
    executor.dispose();
    executor.dispose();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(ended).toEqual([]);
  });
});

describe('sharedTwin', () => {
  test('differs from its module by one bit, and links with a shared memory alone', async () => {
    const bytes = (await HOST.kernelModule('simd', 'f32')) as Uint8Array<ArrayBuffer>;
    const twin = sharedTwin(bytes);
    const changed = Array.from(bytes, (byte, i) => byte ^ twin[i]!).filter((bits) => bits !== 0);
    expect(changed).toEqual([2]);
    const limits = { initial: 1, maximum: 65536 };
    const shared = { env: { memory: new WebAssembly.Memory({ ...limits, shared: true }) } };
    const plain = { env: { memory: new WebAssembly.Memory(limits) } };
    await WebAssembly.instantiate(twin, shared);
    await expect(WebAssembly.instantiate(twin, plain)).rejects.toThrow(WebAssembly.LinkError);
  });
});
