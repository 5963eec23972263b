import { expect, test } from 'vitest';
import { DTYPES, type DType } from '../../src/core/dtype.ts';
import { ConfigError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { FIRST_FILLER, type RandomModelShape, randomGguf } from '../../src/load/random_gguf.ts';
import { dtypeOf, readTensorBytes } from '../../src/load/weights.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import { FORMATS } from '../../src/quant/formats.ts';

const SHAPE: RandomModelShape = {
  nLayers: 2,
  dim: 64,
  nHeads: 4,
  nKvHeads: 2,
  hiddenDim: 96,
  vocab: FIRST_FILLER + 5,
  maxContext: 64,
  tied: false,
};

const ALL_DTYPES = Object.keys(DTYPES) as DType[];

/** The chunks as one file: each is copied before the next is taken. */
function fileOf(dtype: DType, seed: number, change: Partial<RandomModelShape> = {}): Uint8Array<ArrayBuffer> {
  const chunks = Array.from(randomGguf({ shape: { ...SHAPE, ...change }, dtype, seed }), (chunk) => chunk.slice());
  const file = new Uint8Array(chunks.reduce((n, c) => n + c.length, 0));
  let at = 0;
  for (const chunk of chunks) {
    file.set(chunk, at);
    at += chunk.length;
  }
  return file;
}

test('equal seeds give equal bytes, others do not', () => {
  const file = fileOf('q8_0', 7);
  expect(Buffer.compare(fileOf('q8_0', 7), file)).toBe(0);
  expect(Buffer.compare(fileOf('q8_0', 8), file)).not.toBe(0);
});

test.each(ALL_DTYPES)('%s: loads, with equal logits from both f32 tiers', async (dtype) => {
  const texts: string[] = [];
  for (const tied of [false, true]) {
    const file = fileOf(dtype, 3, { tied });
    const [wasm, naive] = await Promise.all(
      (['wasm', 'naive'] as const).map(async (executor) => {
        const source = { kind: 'file', source: bufferSource('random.gguf', file) } as const;
        await using model = await loadModel(source, createNodeHost(), { executor });
        const { data } = await model.logits(model.tokenize('Hi'));
        return { data, ids: model.tokenize('Hi') };
      }),
    );
    expect(wasm!.ids).toEqual([1, ...bytesOf(' Hi')]);
    expect(wasm!.data).toEqual(naive!.data);
    expect(new Set(wasm!.data).size).toBeGreaterThan(SHAPE.vocab);
    texts.push(String(wasm!.data[0]));
  }
  expect(texts[0]).not.toBe(texts[1]);
});

/** The id of each byte, as the vocabulary numbers them; "▁" stands for a space and is three bytes of its own. */
function bytesOf(text: string): number[] {
  return Array.from(new TextEncoder().encode(text.replaceAll(' ', '▁')), (byte) => 3 + byte);
}

test.each(ALL_DTYPES)('%s: no weight and no scale is subnormal or zero', async (dtype) => {
  const bytes = fileOf(dtype, 5, { dim: 128, hiddenDim: 4096 });
  const file = await openGguf(bufferSource('random.gguf', bytes));
  for (const info of file.tensors.values()) {
    const data = new Uint8Array(info.nBytes);
    await readTensorBytes(info, 0, data);
    const n = info.shape.reduce((a, b) => a * b, 1);
    const format = dtypeOf(info);
    // The upper byte of each f16: weights, or the scale at the start of each block.
    const f16Step = format === 'f16' ? 2 : DTYPES[format].blockSize > 1 ? DTYPES[format].blockBytes : 0;
    if (f16Step > 0) {
      for (let at = 0; at < data.length; at += f16Step) {
        if ((data[at + 1]! & 0x7c) === 0) throw new Error(`${info.name}: the f16 at byte ${at} is zero or subnormal`);
      }
    } else {
      const values = new Float32Array(n);
      FORMATS[format].unpack(data, 0, values, 0, n);
      for (const v of values) if (!(Math.abs(v) >= 2 ** -126)) throw new Error(`${info.name}: ${v}`);
    }
  }
});

test('a file larger than one chunk is the sum of its chunks', async () => {
  const shape = { ...SHAPE, vocab: 9000 };
  const sizes = Array.from(randomGguf({ shape, dtype: 'f32', seed: 1 }), (chunk) => chunk.length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 20);
  const file = await openGguf(bufferSource('random.gguf', fileOf('f32', 1, { vocab: 9000 })));
  expect(file.tensors.get('token_embd.weight')!.shape).toEqual([9000, 64]);
});

test.each([
  ['vocab', { vocab: FIRST_FILLER - 1 }, /vocab is 258, must be at least 259/],
  ['dim', { dim: 68 }, /dim is 68/],
  ['nKvHeads', { nKvHeads: 3 }, /nHeads is 4, must be a multiple of nKvHeads=3/],
  ['nLayers', { nLayers: 0 }, /nLayers is 0/],
  ['hiddenDim', { hiddenDim: 80 }, /not whole blocks of 32/],
])('refuses %s', (_name, change, message) => {
  const make = () => randomGguf({ shape: { ...SHAPE, ...change }, dtype: 'q4_0', seed: 1 }).next();
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(message);
});
