import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../../src/core/errors.ts';
import { createArena, createMemory } from '../../../src/exec/wasm/arena.ts';
import { createWasmExecutor } from '../../../src/exec/wasm/executor.ts';
import { createFrames } from '../../../src/exec/wasm/frame.ts';
import { checkMemoryNeed, type MemoryNeed, memoryNeed } from '../../../src/exec/wasm/memory_need.ts';
import { createRopeTables } from '../../../src/exec/wasm/rope_tables.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { createContiguousCache } from '../../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../../src/kvcache/heap_storage.ts';
import type { KvOptions } from '../../../src/kvcache/options.ts';
import { buildLlama } from '../../../src/models/llama.ts';
import { createNodeHost } from '../../../src/platform/node.ts';
import { watch } from '../../load/sources.ts';
import { batchOf } from '../../support/executors.ts';
import { tinyLlama } from '../../support/tiny_llama.ts';

const LIMITS = { maxSeq: 96, prefillChunk: 16 };

/** isCoded: with rows of whole blocks, which a cache can round. */
function tiny(dtype: 'f32' | 'q8_0', isCoded = false) {
  const config32 = isCoded && { config: { headDim: 32, ropeDim: 32 } };
  const { config, tensors } = tinyLlama({ seed: 1, dtype, ...config32 });
  return { tensors, graph: optimize(buildLlama(config, tensors, 'q8'), []) };
}

describe('memoryNeed', () => {
  test.each(['f32', 'q8_0'] as const)('of %s: what a loaded model then takes', async (dtype) => {
    const { graph, tensors } = tiny(dtype);
    const told: MemoryNeed[] = [];
    const executor = await createWasmExecutor({
      graph,
      tensors,
      host: createNodeHost(),
      kernels: 'simd',
      limits: LIMITS,
      onMemoryNeed: (need) => told.push(need),
    });
    expect(told).toEqual([memoryNeed(graph, LIMITS)]);
    expect(executor.memory.weightBytes).toBe(told[0]!.weightBytes);
    const cache = executor.createCache(LIMITS.maxSeq);
    const sequence = cache.create();
    for (let from = 0; from < LIMITS.maxSeq; from += LIMITS.prefillChunk) {
      executor.run(batchOf(cache, [{ sequence, ids: Array(LIMITS.prefillChunk).fill(1) }]), cache);
    }
    expect(cache.bytesInUse).toBe(told[0]!.cacheBytes);
    expect(executor.memory.scratchBytes).toBeLessThanOrEqual(told[0]!.scratchBytes);
    executor.dispose();
  });

  test.each([
    { kind: 'lossy', window: 20, sinks: 3 },
    { kind: 'lossy', type: 'q4_0', recent: 10 },
    { kind: 'lossy', type: 'q8_0', window: 100 },
    { kind: 'prefix', type: 'q4_0', budget: 400 },
    { kind: 'paged', type: 'q8_0', window: 20, sinks: 3 },
    { kind: 'paged', window: 130, pageSize: 48 },
    { kind: 'evict', by: 'importance', budget: 100 },
    { kind: 'evict', by: 'importance', budget: 500 },
  ] as const)('of a cache that is %j: no more than that', async (kv) => {
    const { config, tensors } = tinyLlama({
      seed: 1,
      dtype: 'q8_0',
      config: { headDim: 32, ropeDim: 32, maxContext: 500 },
    });
    const limits = { maxSeq: 400, prefillChunk: 16, kv } as const;
    const told: MemoryNeed[] = [];
    const executor = await createWasmExecutor({
      graph: optimize(buildLlama(config, tensors, 'q8'), []),
      tensors,
      host: createNodeHost(),
      kernels: 'simd',
      limits,
      onMemoryNeed: (need) => told.push(need),
    });
    const cache = executor.createCache(400, limits.kv);
    const sequence = cache.create();
    for (let left = 400; left > 0; ) {
      const n = Math.min(left, 16, cache.most(sequence));
      executor.run(batchOf(cache, [{ sequence, ids: Array(n).fill(1) }]), cache);
      expect(cache.bytesInUse).toBeLessThanOrEqual(told[0]!.cacheBytes);
      left -= n;
    }
    expect(executor.memory.scratchBytes).toBeLessThanOrEqual(told[0]!.scratchBytes);
    executor.dispose();
  });

  test('scratch is enough for the last run of a sequence, and for the rope tables on the way there', () => {
    const { graph } = tiny('q8_0');
    const need = memoryNeed(graph, LIMITS);
    const arena = createArena(createMemory(), 0);
    const frames = createFrames(graph, arena, 'simd');
    const ropes = createRopeTables(graph.ropes, arena);
    const cache = createContiguousCache({ ...graph.kv, elementBytes: 4 }, LIMITS.maxSeq, heapStorage(Float32Array));
    const sequence = cache.create();
    for (let from = 0; from < LIMITS.maxSeq; from += LIMITS.prefillChunk) {
      const batch = batchOf(cache, [{ sequence, ids: Array(LIMITS.prefillChunk).fill(1) }]);
      frames.open({ ...batch, outRows: Int32Array.of(0) }, cache);
      ropes.reach(from + LIMITS.prefillChunk);
      expect(arena.bytesInUse).toBeLessThanOrEqual(need.scratchBytes);
    }
  });

  test('what does not fit is refused with both numbers, and the context that would fit', () => {
    const { graph } = tiny('f32');
    const need = memoryNeed(graph, LIMITS);
    expect(() => checkMemoryNeed(graph, need, need.totalBytes)).not.toThrow();
    const perPosition = need.cacheBytes / LIMITS.maxSeq;
    const short = need.totalBytes - 10 * perPosition;
    expect(() => checkMemoryNeed(graph, need, short)).toThrow(
      new CapacityError(
        `the model needs ${need.totalBytes} bytes of wasm memory (${need.weightBytes} for weights, ${need.cacheBytes} ` +
          `for a cache of 96 positions, ${need.scratchBytes} for scratch), the limit is ${short}; ` +
          'use --max-seq 80, or a smaller format',
      ),
    );
    expect(() => checkMemoryNeed(graph, need, 1000)).toThrow(
      /the limit is 1000; use a smaller model or a smaller format/,
    );
  });

  test.each([
    [{ kind: 'paged', budget: 9600 }, 'a cache of 9600 positions', 'use a kv-budget of at most 80'],
    [{ kind: 'prefix', budget: 9600, pageSize: 64 }, 'a cache of 9600 positions', 'use a kv-budget of at most 64'],
    [{ kind: 'paged', pageSize: 9600 }, 'a cache of 9600 positions', 'use a page-size of at most 80'],
    [{ kind: 'tiered' }, 'a cache of 96 positions', 'use --max-seq 80'],
  ] as const)('%j says what is too large', (kv, cache, step) => {
    const { graph } = tiny('f32');
    const plain = memoryNeed(graph, LIMITS);
    const limit = plain.totalBytes - (10 * plain.cacheBytes) / LIMITS.maxSeq;
    const check = () => checkMemoryNeed(graph, memoryNeed(graph, { ...LIMITS, kv }), limit, kv);
    expect(check).toThrow(CapacityError);
    expect(check).toThrow(cache);
    expect(check).toThrow(step);
  });

  test('what is said to fit fits', () => {
    const { graph } = tiny('f32', true);
    const kvs: readonly KvOptions[] = [
      { kind: 'contiguous' },
      { kind: 'paged', pageSize: 48 },
      { kind: 'paged', budget: 64 },
      { kind: 'prefix', budget: 1000, pageSize: 32 },
      { kind: 'paged', pageSize: 960 },
      { kind: 'lossy', type: 'q8_0' },
      { kind: 'paged', type: 'q8_0', budget: 640 },
      { kind: 'evict', by: 'importance', budget: 90 },
    ];
    const seen = new Set<string>();
    const positionBytes = memoryNeed(graph, LIMITS).cacheBytes / LIMITS.maxSeq;
    for (const kv of kvs) {
      const plain = memoryNeed(graph, { ...LIMITS, kv });
      for (let limit = plain.totalBytes - 1; limit > plain.totalBytes - plain.cacheBytes; limit -= 7 * positionBytes) {
        let [limits, form] = [LIMITS, kv];
        const messages: string[] = [];
        for (;;) {
          try {
            checkMemoryNeed(graph, memoryNeed(graph, { ...limits, kv: form }), limit, form);
            break;
          } catch (e) {
            messages.push((e as Error).message);
          }
          const said = /; use (--max-seq|a page-size of at most|a kv-budget of at most|a smaller model) ?(\d*)/;
          const [, what, n] = said.exec(messages.at(-1)!)!;
          seen.add(what!);
          if (what === 'a smaller model') break;
          if (what === '--max-seq') limits = { ...limits, maxSeq: Number(n) };
          else form = { ...form, [what === 'a page-size of at most' ? 'pageSize' : 'budget']: Number(n) } as KvOptions;
          // Smaller pages may show that the context is too long as well.
          expect(messages.length, messages.join('\n')).toBeLessThanOrEqual('pageSize' in kv ? 2 : 1);
        }
      }
    }
    expect([...seen].sort()).toEqual([
      '--max-seq',
      'a kv-budget of at most',
      'a page-size of at most',
      'a smaller model',
    ]);
  });

  test('a model beyond 4 GiB is refused before the host is asked for anything', async () => {
    const { graph, tensors } = tiny('f32');
    const [name, info] = [...tensors][0]!;
    const source = watch(info.source);
    const host = {
      ...createNodeHost(),
      kernelModule: () => {
        throw new Error('asked for kernels');
      },
    };
    const load = createWasmExecutor({
      graph,
      tensors: new Map(tensors).set(name, { ...info, source }),
      host,
      kernels: 'auto',
      limits: { maxSeq: 2 ** 26, prefillChunk: 16 },
    });
    await expect(load).rejects.toThrow(CapacityError);
    expect(source.readBytes).toBe(0);
  });
});
