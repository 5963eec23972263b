import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES } from '../../src/core/dtype.ts';
import { FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import {
  dtypeOf,
  forEachRows,
  type Progress,
  progressOver,
  readTensorBytes,
  tensorRows,
} from '../../src/load/weights.ts';
import { watch } from './sources.ts';

/** A tensor of u8-sized elements somewhere inside a file of rising bytes. */
function tensorOf(shape: readonly number[], offset = 5): { info: TensorInfo; bytes: Uint8Array } {
  const nBytes = shape.reduce((n, dim) => n * dim, 1);
  const file = Uint8Array.from({ length: offset + nBytes + 3 }, (_, i) => i % 251);
  const source = bufferSource('f', file);
  return {
    info: { name: 't', type: 'i8', shape, source, offset, nBytes },
    bytes: file.slice(offset, offset + nBytes),
  };
}

describe('readTensorBytes', () => {
  test('any part in any chunks is that part of the tensor, and nothing around it is written', async () => {
    const parts = fc.tuple(fc.nat(40), fc.nat(40), fc.integer({ min: 1, max: 50 })).filter(([a, b]) => a + b <= 64);
    await fc.assert(
      fc.asyncProperty(parts, async ([from, length, chunkBytes]) => {
        const { info, bytes } = tensorOf([4, 16]);
        const canary = 0xee;
        const memory = new Uint8Array(length + 2).fill(canary);
        await readTensorBytes(info, from, memory.subarray(1, 1 + length), { chunkBytes });
        expect(memory.slice(1, 1 + length)).toEqual(bytes.slice(from, from + length));
        expect([memory[0], memory[length + 1]]).toEqual([canary, canary]);
      }),
    );
  });

  test('reads into shared memory and into WebAssembly memory', async () => {
    const { info, bytes } = tensorOf([8]);
    const memory = new WebAssembly.Memory({ initial: 1 });
    const views = [new Uint8Array(new SharedArrayBuffer(8)), new Uint8Array(memory.buffer, 1000, 8)];
    for (const view of views) {
      await readTensorBytes(info, 0, view);
      expect(Uint8Array.from(view)).toEqual(bytes);
    }
  });

  test('progress rises to the total, once for each chunk', async () => {
    const seen: Progress[] = [];
    const { info } = tensorOf([10]);
    await readTensorBytes(info, 0, new Uint8Array(10), { chunkBytes: 4, onProgress: (p) => seen.push(p) });
    expect(seen).toEqual([4, 8, 10].map((doneBytes) => ({ doneBytes, totalBytes: 10, what: 't' })));
  });

  test('an aborted signal stops it: before the first chunk, and between chunks', async () => {
    const { info } = tensorOf([10]);
    const source = watch(info.source);
    const reason = new Error('enough');
    const read = (signal: AbortSignal, onProgress?: () => void) =>
      readTensorBytes({ ...info, source }, 0, new Uint8Array(10), { chunkBytes: 4, signal, onProgress });
    await expect(read(AbortSignal.abort(reason))).rejects.toBe(reason);
    expect(source.readBytes).toBe(0);
    const controller = new AbortController();
    await expect(read(controller.signal, () => controller.abort(reason))).rejects.toBe(reason);
    expect(source.readBytes).toBeLessThanOrEqual(8);
  });

  test('a file that shrank is a FormatError, a part outside the tensor our own bug', async () => {
    const { info } = tensorOf([10]);
    const shrunk = { ...info, source: bufferSource('f', new Uint8Array(9)) };
    await expect(readTensorBytes(shrunk, 0, new Uint8Array(10))).rejects.toThrow(FormatError);
    await expect(readTensorBytes(info, 1, new Uint8Array(10))).rejects.toThrow(/broken promise/);
  });
});

describe('forEachRows', () => {
  const collect = async (info: TensorInfo, chunkBytes: number) => {
    const rows: { first: number; n: number; bytes: Uint8Array }[] = [];
    await forEachRows(info, (bytes, first, n) => void rows.push({ first, n, bytes: bytes.slice() }), { chunkBytes });
    return rows;
  };

  test('gives every row once, in order, whole, for any chunk size', async () => {
    const shape = fc.oneof(
      fc.array(fc.integer({ min: 0, max: 5 }), { maxLength: 3 }),
      fc.constantFrom([], [0], [0, 3], [3, 0], [1, 1], [7]),
    );
    await fc.assert(
      fc.asyncProperty(shape, fc.integer({ min: 1, max: 40 }), async (dims, chunkBytes) => {
        const { info, bytes } = tensorOf(dims);
        const { nRows, rowBytes } = tensorRows(info);
        const rows = await collect(info, chunkBytes);
        let next = 0;
        for (const { first, n, bytes: part } of rows) {
          expect(first).toBe(next);
          expect(part).toEqual(bytes.slice(first * rowBytes, (first + n) * rowBytes));
          expect(part.length <= chunkBytes || n === 1, 'no more than asked for, or one row').toBe(true);
          next += n;
        }
        expect(next).toBe(bytes.length === 0 ? 0 : nRows);
      }),
    );
  });
});

test('dtypeOf gives the formats that run and names the tensor for the others', () => {
  const { info } = tensorOf([1]);
  for (const type of ALL_DTYPES) expect(dtypeOf({ ...info, type })).toBe(type);
  for (const type of ['i64', 'f64', 'constructor', 'F32']) {
    expect(() => dtypeOf({ ...info, type })).toThrow(UnsupportedError);
    expect(() => dtypeOf({ ...info, type })).toThrow(`"t" is ${type}`);
  }
});

test('progressOver adds up reads that overlap in time', () => {
  const seen: number[] = [];
  const next = progressOver(30, ({ doneBytes, totalBytes }) => {
    expect(totalBytes).toBe(30);
    seen.push(doneBytes);
  });
  const a = next();
  const b = next();
  a({ doneBytes: 5, totalBytes: 10, what: 'a' });
  b({ doneBytes: 20, totalBytes: 20, what: 'b' });
  a({ doneBytes: 10, totalBytes: 10, what: 'a' });
  expect(seen).toEqual([5, 25, 30]);
});
