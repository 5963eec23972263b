import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type DType, rowBytes } from '../../src/core/dtype.ts';
import { type ByteSource, bufferSource } from '../../src/core/host.ts';
import { plusOne, rowsOf, rowsPermuted, stacked } from '../../src/load/derived_tensors.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { transposed } from '../../src/load/transposed.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { FORMATS } from '../../src/quant/formats.ts';

/** Random bytes as a tensor, somewhere within its file. */
function tensorOf(type: DType, shape: readonly number[], seed: number): TensorInfo {
  const nRows = shape.slice(0, -1).reduce((a, b) => a * b, 1);
  const nBytes = nRows * rowBytes(type, shape.at(-1)!);
  const file = Uint8Array.from({ length: nBytes + 5 }, (_, i) => Math.imul(i + seed, 0x9e3779b1) >>> 23);
  return { name: `t${seed}`, type, shape, source: bufferSource('file', file), offset: 5, nBytes };
}

async function bytesOf(info: TensorInfo, from = 0, length = info.nBytes - from): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  await readTensorBytes(info, from, bytes);
  return bytes;
}

/** The same bytes whether it is read whole, or in pieces of any place and length, also at the same time. */
async function expectBytes(info: TensorInfo, expected: Uint8Array, cuts: readonly number[]): Promise<void> {
  expect(info.nBytes).toBe(expected.length);
  expect(Buffer.compare(await bytesOf(info), expected)).toBe(0);
  await Promise.all(
    cuts.map(async (cut, i) => {
      const from = cut % (info.nBytes + 1);
      const length = (cuts[i + 1] ?? 1) % (info.nBytes - from + 1);
      expect(Buffer.compare(await bytesOf(info, from, length), expected.subarray(from, from + length))).toBe(0);
    }),
  );
}

const cuts = fc.array(fc.nat({ max: 1 << 20 }), { maxLength: 6 });
const elements = fc.constantFrom<DType>('f32', 'f16', 'bf16');

test('transposed: element [o, i] is element [i, o], whatever the bands', () =>
  fc.assert(
    fc.asyncProperty(
      elements,
      fc.integer({ min: 1, max: 90 }),
      fc.integer({ min: 1, max: 110 }),
      fc.constantFrom(1, 5000, 20000, 1 << 20),
      cuts,
      async (type, nIn, nOut, bandBytes, at) => {
        const info = tensorOf(type, [nIn, nOut], 3);
        const source = await bytesOf(info);
        const size = FORMATS[type].blockBytes;
        const expected = new Uint8Array(source.length);
        for (let o = 0; o < nOut; o++) {
          for (let i = 0; i < nIn; i++) {
            const from = (i * nOut + o) * size;
            expected.set(source.subarray(from, from + size), (o * nIn + i) * size);
          }
        }
        const result = transposed(info, bandBytes);
        expect(result.shape).toEqual([nOut, nIn]);
        await expectBytes(result, expected, at);
      },
    ),
    { numRuns: 60 },
  ));

test('transposed: a tensor read in order is scanned once a band, and not kept after it', async () => {
  let readBytes = 0;
  const info = tensorOf('f32', [300, 400], 1);
  const counting: ByteSource = {
    ...info.source,
    async read(offset, into) {
      readBytes += into.length;
      await info.source.read(offset, into);
    },
  };
  const result = transposed({ ...info, source: counting }, 250_000);
  for (let round = 1; round <= 2; round++) {
    for (let at = 0; at < result.nBytes; at += 40_000) await bytesOf(result, at, Math.min(40_000, result.nBytes - at));
    expect(readBytes).toBe(round * 2 * info.nBytes);
  }
});

test('transposed: a read that failed does not spoil the next one', async () => {
  const info = tensorOf('f32', [100, 100], 1);
  let isBroken = true;
  const source: ByteSource = {
    ...info.source,
    read: (offset, into) => (isBroken ? Promise.reject(new Error('gone')) : info.source.read(offset, into)),
  };
  const result = transposed({ ...info, source });
  await expect(bytesOf(result)).rejects.toThrow('gone');
  isBroken = false;
  expect(Buffer.compare(await bytesOf(transposed(result)), await bytesOf(info))).toBe(0);
});

test('rowsPermuted: any format, near and far rows', () =>
  fc.assert(
    fc.asyncProperty(
      fc.constantFrom<DType>('f32', 'q8_0', 'q4_0'),
      fc.integer({ min: 1, max: 60 }),
      fc.integer({ min: 1, max: 1000 }),
      cuts,
      async (type, nRows, factor, at) => {
        const info = tensorOf(type, [nRows, 64], 9);
        const sourceRow = (row: number): number => (row * factor + 7) % nRows;
        const source = await bytesOf(info);
        const width = rowBytes(type, 64);
        const expected = new Uint8Array(source.length);
        for (let row = 0; row < nRows; row++) {
          const from = sourceRow(row) * width;
          expected.set(source.subarray(from, from + width), row * width);
        }
        await expectBytes(rowsPermuted(info, sourceRow), expected, at);
      },
    ),
    { numRuns: 60 },
  ));

test('rowsPermuted and plusOne: tensors of many strips', async () => {
  const info = tensorOf('f32', [3, 300_000], 4);
  const source = await bytesOf(info);
  const reversed = Buffer.concat([2, 1, 0].map((row) => source.subarray(row * 1_200_000, (row + 1) * 1_200_000)));
  expect(Buffer.compare(await bytesOf(rowsPermuted(info, (row) => 2 - row)), reversed)).toBe(0);
  const whole = await bytesOf(plusOne(info));
  const expected = new Float32Array(source.buffer).map((v) => v + 1);
  expect(new Float32Array(whole.buffer).findIndex((v, i) => !Object.is(v, expected[i]))).toBe(-1);
});

test('rowsOf is a part of the file, stacked puts parts one below the other', async () => {
  const info = tensorOf('q8_0', [6, 32], 2);
  const [upper, lower] = [rowsOf(info, 0, 4), rowsOf(info, 4, 2)];
  expect(lower).toMatchObject({ shape: [2, 32], nBytes: 68, offset: 5 + 4 * 34 });
  const joined = stacked([upper, lower], 'first axis');
  expect(joined.shape).toEqual([6, 32]);
  await expectBytes(joined, await bytesOf(info), [7, 100, 33, 60, 0, 204]);
  const experts = stacked([rowsOf(info, 0, 3), rowsOf(info, 3, 3)], 'new axis');
  expect(experts.shape).toEqual([2, 3, 32]);
  await expectBytes(experts, await bytesOf(info), []);
});

test('plusOne: f32 from any element format', async () => {
  for (const type of ['f32', 'f16', 'bf16'] as const) {
    const n = 50;
    const bytes = new Uint8Array(n * FORMATS[type].blockBytes);
    const values = Float32Array.from({ length: n }, (_, i) => (i - 20) / 8);
    FORMATS[type].pack(values, 0, n, bytes, 0);
    const info: TensorInfo = {
      name: 'norm',
      type,
      shape: [n],
      source: bufferSource('f', bytes),
      offset: 0,
      nBytes: bytes.length,
    };
    const result = plusOne(info);
    expect(result).toMatchObject({ type: 'f32', shape: [n], nBytes: 200 });
    await expectBytes(result, new Uint8Array(values.map((v) => v + 1).buffer), [3, 10, 77, 1, 199, 4]);
  }
});

test('what cannot be derived is refused by name', async () => {
  const blocks = tensorOf('q8_0', [4, 32], 2);
  const refused = (name: string, message: RegExp) =>
    expect.objectContaining({ name, message: expect.stringMatching(message) });
  expect(() => transposed(blocks)).toThrow(refused('UnsupportedError', /t2.* is q8_0.*one by one/));
  expect(() => plusOne(blocks)).toThrow(refused('UnsupportedError', /t2.* is q8_0/));
  expect(() => transposed(tensorOf('f32', [4], 1))).toThrow(refused('ShapeError', /t1.* \[4\].*two axes/));
  expect(() => rowsOf(blocks, 3, 2)).toThrow(refused('ShapeError', /t2.* has no rows 3 to 4/));
  expect(() => stacked([blocks, tensorOf('f32', [4, 32], 1)], 'first axis')).toThrow(
    refused('ShapeError', /t2.*q8_0.*t1.*f32.*do not stack/),
  );
  expect(() => stacked([blocks, tensorOf('q8_0', [5, 32], 1)], 'new axis')).toThrow(refused('ShapeError', /do not/));
  await expect(rowsPermuted(blocks, (row) => row).source.read(1000, new Uint8Array(1))).rejects.toThrow(
    refused('FormatError', /needs bytes 1000 to 1001, the tensor has 136/),
  );
});
