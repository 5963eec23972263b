import { expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES, type DType } from '../../src/core/dtype.ts';
import { ConfigError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { TensorInfo } from '../../src/load/model_file.ts';
import { RANDOM_ARCHITECTURES, type RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { type RandomModel, randomGguf } from '../../src/load/random_gguf.ts';
import { RANDOM_SHAPES, type RandomModelShape } from '../../src/load/random_shape.ts';
import { FIRST_FILLER } from '../../src/load/random_vocabulary.ts';
import { readTensorBytes } from '../../src/load/weights.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { FORMS, isSmall } from '../support/equal_bits.ts';
import { HOST } from '../support/executors.ts';

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

/** One layer of the narrowest matrices that formats of super-blocks can hold: what is slow here is packing. */
const ONE_SUPER_BLOCK = { nLayers: 1, dim: 256, hiddenDim: 256 };
const ALL_ARCHITECTURES = Object.keys(RANDOM_ARCHITECTURES) as RandomArchitectureName[];

interface Change extends Partial<RandomModelShape> {
  readonly architecture?: RandomArchitectureName;
}

function modelOf(format: DType, seed: number, { architecture = 'llama', ...change }: Change = {}) {
  return randomGguf({ architecture, shape: { ...SHAPE, ...change }, format, seed });
}

function fileOf(format: DType, seed: number, change: Change = {}): Uint8Array<ArrayBuffer> {
  return joined(modelOf(format, seed, change));
}

/** The chunks as one file: each is copied before the next is taken. */
function joined(model: RandomModel): Uint8Array<ArrayBuffer> {
  const file = new Uint8Array(model.nBytes);
  let at = 0;
  for (const chunk of model.chunks()) {
    file.set(chunk, at);
    at += chunk.length;
  }
  expect(at, 'bytes as announced').toBe(model.nBytes);
  return file;
}

async function tensorsOf(bytes: Uint8Array<ArrayBuffer>): Promise<TensorInfo[]> {
  return [...(await openGguf(bufferSource('random.gguf', bytes))).tensors.values()];
}

async function bytesOf(info: TensorInfo): Promise<Uint8Array> {
  const data = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, data);
  return data;
}

async function valuesOf(info: TensorInfo): Promise<Float32Array> {
  const values = new Float32Array(info.shape.reduce((a, b) => a * b, 1));
  FORMATS[info.type as DType].unpack(await bytesOf(info), 0, values, 0, values.length);
  return values;
}

test('equal seeds give equal bytes, others do not', () => {
  const file = fileOf('q8_0', 7);
  expect(Buffer.compare(fileOf('q8_0', 7), file)).toBe(0);
  expect(Buffer.compare(fileOf('q8_0', 8), file)).not.toBe(0);
});

test.each(['q4_0', 'q8_0', 'f16'] as const)('%s: unpacked, the same weights are stored as f32', async (format) => {
  // Large enough for blocks that come again, in the embedding.
  const shape = { ...SHAPE, nLayers: 1, vocab: 2100 };
  const packed = await tensorsOf(joined(randomGguf({ architecture: 'llama', shape, format, seed: 2 })));
  const unpacked = await tensorsOf(
    joined(randomGguf({ architecture: 'llama', shape, format, seed: 2, isUnpacked: true })),
  );
  expect(unpacked.map((info) => [info.name, info.shape])).toEqual(packed.map((info) => [info.name, info.shape]));
  expect(new Set(unpacked.map((info) => info.type))).toEqual(new Set(['f32']));
  expect(packed.some((info) => info.type === format)).toBe(true);
  for (const [i, info] of packed.entries()) {
    const [ours, theirs] = [await valuesOf(unpacked[i]!), await valuesOf(info)];
    expect(Buffer.compare(Buffer.from(ours.buffer), Buffer.from(theirs.buffer)), info.name).toBe(0);
  }
});

/** Both forms of activations read the same two files of a format: packing takes longer than running. */
const formFiles = new Map<string, Uint8Array<ArrayBuffer>>();
function formFile(dtype: DType, tied: boolean): Uint8Array<ArrayBuffer> {
  const key = `${dtype} ${tied}`;
  const file = formFiles.get(key) ?? fileOf(dtype, 3, { ...(isSmall([dtype, 'f32']) ? {} : ONE_SUPER_BLOCK), tied });
  formFiles.set(key, file);
  return file;
}

test.each(FORMS)('%s, activations %s: loads, with equal logits from both f32 tiers', async (dtype, activations) => {
  const texts: string[] = [];
  // One end for both is another file, not another product: one form of each format shows that it is.
  for (const tied of activations === 'f32' ? [false, true] : [false]) {
    const file = formFile(dtype, tied);
    const [wasm, naive] = await Promise.all(
      (['wasm', 'naive'] as const).map(async (executor) => {
        const source = { kind: 'file', source: bufferSource('random.gguf', file) } as const;
        await using model = await loadModel(source, HOST, { executor, activations });
        const { data } = await model.logits(model.tokenize('Hi'));
        return { data, ids: model.tokenize('Hi') };
      }),
    );
    expect(wasm!.ids).toEqual([1, ...idsOf(' Hi')]);
    expect(wasm!.data).toEqual(naive!.data);
    expect(new Set(wasm!.data).size).toBeGreaterThan(SHAPE.vocab);
    texts.push(String(wasm!.data[0]));
  }
  expect(new Set(texts).size).toBe(texts.length);
});

/** The id of each byte, as the vocabulary numbers them; "▁" stands for a space and is three bytes of its own. */
function idsOf(text: string): number[] {
  return Array.from(new TextEncoder().encode(text.replaceAll(' ', '▁')), (byte) => 3 + byte);
}

test.each(ALL_ARCHITECTURES)('%s: is known to the engine', async (architecture) => {
  const source = { kind: 'file', source: bufferSource('r.gguf', fileOf('f32', 3, { architecture })) } as const;
  await using model = await loadModel(source, HOST, {});
  expect(model.info.vocab).toBe(SHAPE.vocab);
});

test.each(['f32', 'f16', 'bf16', 'q8_0', 'q4_0'] as const)(
  '%s: no weight and no scale is subnormal or zero',
  async (dtype) => {
    for (const info of await tensorsOf(fileOf(dtype, 5, { dim: 128, hiddenDim: 4096 }))) {
      const format = info.type as DType;
      // The upper byte of each f16: weights, or the scale at the start of each block.
      const f16Step = format === 'f16' ? 2 : DTYPES[format].blockSize > 1 ? DTYPES[format].blockBytes : 0;
      if (f16Step > 0) {
        const data = await bytesOf(info);
        for (let at = 0; at < data.length; at += f16Step) {
          if ((data[at + 1]! & 0x7c) === 0) throw new Error(`${info.name}: the f16 at byte ${at} is zero or subnormal`);
        }
      } else {
        for (const v of await valuesOf(info)) if (!(Math.abs(v) >= 2 ** -126)) throw new Error(`${info.name}: ${v}`);
      }
    }
  },
);

/** Every matrix has more than a pool of packed blocks, and rows of one length, so that few pools are packed. */
const LARGE = { dim: 512, hiddenDim: 512, nKvHeads: 4, nLayers: 1, vocab: 300, tied: true };

test.each(ALL_DTYPES)('%s: rows of a large tensor differ, and all weights are of the right size', async (format) => {
  const infos = await tensorsOf(fileOf(format, 5, LARGE));
  const large = infos.find(({ name }) => name === 'token_embd.weight')!;
  const [bytes, nRows] = [Buffer.from(await bytesOf(large)), large.shape[0]!];
  const rowBytes = bytes.length / nRows;
  const rows = Array.from({ length: nRows }, (_, r) => bytes.toString('latin1', r * rowBytes, (r + 1) * rowBytes));
  expect(new Set(rows).size).toBe(nRows);

  // Outputs are spread about as inputs are where this is 1. Formats of two bits take their liberties; a scale that is set
  // wrongly is off by hundreds.
  for (const info of infos) {
    const values = await valuesOf(info);
    const rms = Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
    const spread = info.shape.length === 1 ? rms : rms * Math.sqrt(info.shape[1]!);
    const what = `${info.name} ${info.type}`;
    expect([what, spread > 0.5, spread < 2]).toEqual([what, true, true]);
  }
});

test('a large file comes in chunks of a megabyte at most', async () => {
  const change = { vocab: 9000 };
  const sizes = Array.from(modelOf('f32', 1, change).chunks(), (chunk) => chunk.length);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(2 ** 20);
  const infos = await tensorsOf(fileOf('f32', 1, change));
  expect(infos.find(({ name }) => name === 'token_embd.weight')!.shape).toEqual([9000, 64]);
});

test('the shapes have as many parameters as their names say', () => {
  const counts = Object.values(RANDOM_SHAPES).map((shape) => {
    return (randomGguf({ architecture: 'llama', shape, format: 'q4_0', seed: 0 }).nParameters / 1e6).toFixed(0);
  });
  expect(counts).toEqual(['135', '494', '1236']);
});

test.each([
  ['vocab', { vocab: FIRST_FILLER - 1 }, /vocab is 258, must be at least 259/],
  ['dim', { dim: 68 }, /dim is 68/],
  ['nKvHeads', { nKvHeads: 3 }, /nHeads is 4, must be a multiple of nKvHeads=3/],
  ['nLayers', { nLayers: 0 }, /nLayers is 0/],
  ['many layers', { nLayers: 99_999_999_999 }, /nLayers is 99999999999, must be an integer from 1 to 4096/],
  ['hiddenDim', { hiddenDim: 80 }, /ffn_down.weight has rows of 80, which are not whole blocks of 32 \(q4_0\)/],
])('refuses %s', (_name, change, message) => {
  const make = () => modelOf('q4_0', 1, change);
  expect(make).toThrow(ConfigError);
  expect(make).toThrow(message);
});

test.each([-1, 0.5, 2 ** 32, Number.NaN])('refuses %d as a seed', (seed) => {
  expect(() => modelOf('q4_0', seed)).toThrow(/seed is .*, must be an integer in 0\.\.2\^32 - 1/);
});
