import fc from 'fast-check';
import { expect } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { MetaType, MetaValue } from '../../src/core/metadata.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { GGML_TYPES } from '../../src/load/gguf_types.ts';
import type { GgufContent, GgufTensor } from '../../src/load/gguf_writer.ts';

const text = fc.oneof(
  fc.string({ unit: 'grapheme' }),
  fc.constant(''),
  fc.constant('\ufeffbom'),
  fc.string({ minLength: 20, maxLength: 40, unit: 'binary-ascii' }),
);
/** Bytes that are text would come back as text. */
const cutText = fc.constantFrom(Uint8Array.of(0xff), Uint8Array.of(0xe2, 0x96), Uint8Array.of(0xc0, 0x80));
const i64 = (n: bigint) => (Number.isSafeInteger(Number(n)) ? Number(n) : n);
const scalars: Record<Exclude<MetaType, 'array'>, fc.Arbitrary<MetaValue>> = {
  u8: fc.integer({ min: 0, max: 255 }),
  i8: fc.integer({ min: -128, max: 127 }),
  u16: fc.integer({ min: 0, max: 65535 }),
  i16: fc.integer({ min: -32768, max: 32767 }),
  u32: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  i32: fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }),
  f32: fc.float(),
  bool: fc.boolean(),
  string: fc.oneof(text, cutText),
  u64: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(i64),
  i64: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(i64),
  f64: fc.double(),
};
const arrays: fc.Arbitrary<MetaValue> = fc.oneof(
  fc.array(text).map((values) => ({ arrayOf: 'string' as const, values })),
  fc.array(fc.boolean()).map((values) => ({ arrayOf: 'bool' as const, values })),
  fc.uint8Array().map((values) => ({ arrayOf: 'u8' as const, values })),
  fc.int8Array().map((values) => ({ arrayOf: 'i8' as const, values })),
  fc.uint16Array().map((values) => ({ arrayOf: 'u16' as const, values })),
  fc.int16Array().map((values) => ({ arrayOf: 'i16' as const, values })),
  fc.uint32Array().map((values) => ({ arrayOf: 'u32' as const, values })),
  fc.int32Array().map((values) => ({ arrayOf: 'i32' as const, values })),
  fc.float32Array().map((values) => ({ arrayOf: 'f32' as const, values })),
  fc.float64Array().map((values) => ({ arrayOf: 'f64' as const, values })),
  fc.bigUint64Array().map((values) => ({ arrayOf: 'u64' as const, values })),
  fc.bigInt64Array().map((values) => ({ arrayOf: 'i64' as const, values })),
);
const value = fc.oneof(
  ...Object.entries(scalars).map(([type, values]) => values.map((v) => [type as MetaType, v] as const)),
  arrays.map((v) => ['array', v] as const),
);
const key = fc.string({ minLength: 1, unit: 'binary-ascii' }).filter((k) => k !== 'general.alignment');
const metadata = fc
  .uniqueArray(fc.tuple(key, value), { selector: ([k]) => k })
  .map((pairs) => pairs.map(([k, [type, v]]) => [k, type, v] as const));

/** Zero, one and several blocks a row; zero and several rows; scalars and 4 axes. */
const tensor: fc.Arbitrary<GgufTensor> = fc
  .record({
    name: fc.string({ maxLength: 16, unit: 'grapheme-ascii' }),
    type: fc.constantFrom(...GGML_TYPES.values()),
    blocks: fc.integer({ min: 0, max: 2 }),
    outer: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  })
  .chain(({ name, type, blocks, outer }) => {
    const nBytes = outer.reduce((n, dim) => n * dim, blocks * type.blockBytes);
    const shape = [...outer, blocks * type.blockSize];
    return fc
      .uint8Array({ minLength: nBytes, maxLength: nBytes })
      .map((bytes) => ({ name, type: type.name, shape, bytes }));
  });
/** Any metadata and tensors that a file can hold. */
export const ggufContents: fc.Arbitrary<GgufContent> = fc.record({
  metadata,
  tensors: fc.uniqueArray(tensor, { selector: (t) => t.name }),
  alignment: fc.constantFrom(undefined, 8, 32, 64),
});

/** Fails (by assertion) unless reading `file` gives what was written. */
export async function comesBack(given: GgufContent, file: Uint8Array): Promise<void> {
  const model = await openGguf(bufferSource('m.gguf', file));
  const { alignment } = given;
  const expected = given.metadata.map(([k, , v]) => [k, v] as const);
  if (alignment !== undefined) expected.push(['general.alignment', alignment]);
  expect([...model.metadata]).toEqual(expected);
  expect([...model.tensors.keys()]).toEqual(given.tensors.map((t) => t.name));
  for (const { name, type, shape, bytes } of given.tensors) {
    const info = model.tensors.get(name)!;
    expect({ type: info.type, shape: info.shape, nBytes: info.nBytes }).toEqual({
      type,
      shape,
      nBytes: bytes.length,
    });
    expect(info.offset % (alignment ?? 32)).toBe(0);
    expect(file.slice(info.offset, info.offset + info.nBytes)).toEqual(bytes);
  }
}
