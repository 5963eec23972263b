import { copyFileSync, mkdtempSync, rmSync, truncateSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { CapacityError, FormatError } from '../../src/core/errors.ts';
import { type ByteSource, bufferSource, type ThreadHost } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { openNodeFile } from '../../src/platform/node_file.ts';
import { EMBEDDED } from '../cli/model_files.ts';
import { watch } from '../load/sources.ts';
import { LARGE_BYTES, largeGgufHead } from '../support/large_models.ts';

const folder = mkdtempSync(join(tmpdir(), 'glassformer-loading-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const HOST = createNodeHost();
const load = (source: ByteSource, options: LoadOptions) => loadModel({ kind: 'file', source }, HOST, options);

describe('a load that cannot end well', () => {
  test('a model beyond 4 GiB is refused when no more than its head was read', async () => {
    const head = largeGgufHead();
    const source = watch({
      name: 'large',
      size: LARGE_BYTES,
      async read(offset, into) {
        into.set(head.subarray(offset, offset + into.byteLength));
      },
      async close() {},
    });
    const told: number[] = [];
    const options = { onMemoryNeed: () => told.push(1), onProgress: () => told.push(2) };
    await expect(load(source, options)).rejects.toThrow(CapacityError);
    expect(source.readBytes).toBeLessThan(2 ** 20);
    expect(told).toEqual([]);
    expect(source.isClosed).toBe(true);
  });

  test.each(['wasm', 'naive'] as const)(
    '%s: a file that shrinks while it is read is a FormatError',
    async (executor) => {
      const path = join(folder, `shrinks-${executor}.gguf`);
      copyFileSync(EMBEDDED, path);
      const source = watch(await openNodeFile(path));
      const onProgress = () => truncateSync(path, 1000);
      await expect(load(source, { executor, onProgress })).rejects.toThrow(FormatError);
      expect(source.isClosed).toBe(true);
    },
  );

  test.each(['wasm', 'naive'] as const)('%s: an abort in the middle ends it, and closes the file', async (executor) => {
    const source = watch(await openNodeFile(EMBEDDED));
    const stop = new AbortController();
    let nCalls = 0;
    const onProgress = () => {
      nCalls++;
      if (nCalls === 2) stop.abort(new Error('enough'));
    };
    await expect(load(source, { executor, onProgress, signal: stop.signal })).rejects.toThrow('enough');
    expect(nCalls).toBe(2);
    expect(source.isClosed).toBe(true);
  });
});

describe('a form of the cache that cannot be had', () => {
  test('is refused before a weight is read where the graph says so', async () => {
    const size = {
      dim: 64,
      hiddenDim: 1024,
      nLayers: 2,
      nHeads: 2,
      nKvHeads: 1,
      vocab: 300,
      maxContext: 64,
      tied: true,
    };
    const file = randomGguf({ architecture: 'gemma2', format: 'f32', seed: 1, shape: size });
    const source = watch(bufferSource('g.gguf', Buffer.concat(Array.from(file.chunks(), (part) => part.slice()))));
    const kv = { kind: 'evict', by: 'importance', budget: 40 } as const;
    await expect(load(source, { kv })).rejects.toThrow(/kv-evict with a model whose layers have windows of their own/);
    expect(source.readBytes).toBeLessThan(source.size / 4);
    expect(source.isClosed).toBe(true);
  });

  test('leaves no thread behind', async ({ skip }) => {
    skip(availableParallelism() < 2, 'this machine runs one thread at a time');
    let nRunning = 0;
    const threads: ThreadHost = {
      available: 2,
      async startWorker(start, onEnd) {
        const worker = await (HOST.threads as ThreadHost).startWorker(start, onEnd);
        nRunning++;
        return {
          terminate() {
            nRunning--;
            worker.terminate();
          },
        };
      },
    };
    const host = { ...HOST, threads, scratch: 'no place for files' };
    const source = { kind: 'file', source: await openNodeFile(EMBEDDED) } as const;
    await expect(loadModel(source, host, { threads: 2, kv: { kind: 'tiered' } })).rejects.toThrow('no place for files');
    expect(nRunning).toBe(0);
    await (await loadModel({ kind: 'file', source: await openNodeFile(EMBEDDED) }, host, { threads: 2 })).dispose();
    expect(nRunning).toBe(0);
  });
});

test('what a model needs is told before a weight is read', async () => {
  const source = watch(await openNodeFile(EMBEDDED));
  let readBefore = 0;
  const told: object[] = [];
  const model = await load(source, {
    maxSeq: 100,
    onMemoryNeed(need) {
      readBefore = source.readBytes;
      told.push(need);
    },
  });
  expect(readBefore).toBeLessThan(model.info.weightBytes / 4);
  expect(told).toEqual([expect.objectContaining({ weightBytes: model.info.weightBytes, maxSeq: 100 })]);
  await model.dispose();
});
