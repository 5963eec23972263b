import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { type ByteSource, bufferSource } from '../../src/core/host.ts';
import { META_TYPES, type MetaArray, type MetaType, type MetaValue } from '../../src/core/metadata.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { REMOVED_GGML_TYPES } from '../../src/load/gguf_types.ts';
import { type GgufContent, type GgufTensor, writeGguf } from '../../src/load/gguf_writer.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { comesBack, ggufContents } from './gguf_contents.ts';
import { AbsurdRead, everyDamage, openAnything, watch } from './sources.ts';

const open = (bytes: Uint8Array) => openGguf(bufferSource('m.gguf', bytes));

/** Where things are in the small file below; the tests that damage one field name it by this. */
const AT = { version: 4, nTensors: 8, nPairs: 16, keyLength: 24, key: 32, valueType: 33, value: 37 };

/** One u32 pair "k" and two tensors: 24 + (8+1+4+4) = 41, infos from there. */
function small(): Uint8Array<ArrayBuffer> {
  return writeGguf({
    metadata: [['k', 'u32', 7]],
    tensors: [
      { name: 'a', type: 'f32', shape: [2, 3], bytes: new Uint8Array(24).fill(1) },
      { name: 'b', type: 'q8_0', shape: [2, 32], bytes: new Uint8Array(68).fill(2) },
    ],
  });
}
/** a: name length at 41, name 49, nDims 50, dims 54 and 62, type 70, offset 74; b: the same from 82 on. */
const A = { nameLength: 41, name: 49, nDims: 50, dims: 54, type: 70, offset: 74 };
const B = { nameLength: 82, name: 90, nDims: 91, dims: 95, type: 111, offset: 115 };

function patched(patch: (view: DataView) => void): Uint8Array {
  const bytes = small();
  patch(new DataView(bytes.buffer));
  return bytes;
}

describe('what a damaged field says', () => {
  const u32 = (at: number, n: number) => patched((view) => view.setUint32(at, n, true));
  const u64 = (at: number, n: bigint) => patched((view) => view.setBigUint64(at, n, true));
  const cases: [string, Uint8Array, number, RegExp][] = [
    ['magic', u32(0, 0x45554747), 0, /first 4 bytes/],
    ['version 0', u32(AT.version, 0), AT.version, /version is 0/],
    ['tensor count', u64(AT.nTensors, 2n ** 63n), AT.nTensors, /tensor count is 9223372036854775808/],
    ['tensor count, one beyond the rest', u64(AT.nTensors, 15n), AT.nTensors, /at most/],
    ['metadata count', u64(AT.nPairs, 2n ** 32n), AT.nPairs, /metadata count is 4294967296/],
    ['key length', u64(AT.keyLength, 2n ** 64n - 1n), AT.keyLength, /key 0 length/],
    ['empty key', u64(AT.keyLength, 0n), AT.keyLength, /key 0 is empty/],
    ['key not ASCII', patched((view) => view.setUint8(AT.key, 0xff)), AT.keyLength, /key 0 is not ASCII/],
    ['value type', u32(AT.valueType, 13), AT.valueType, /"k" type is 13/],
    ['name length', u64(A.nameLength, 65n), A.nameLength, /name has 65 bytes/],
    ['name not UTF-8', patched((view) => view.setUint8(A.name, 0xff)), A.nameLength, /not UTF-8/],
    ['name twice', patched((view) => view.setUint8(B.name, 'a'.charCodeAt(0))), B.nameLength, /"a" is there twice/],
    ['nDims', u32(A.nDims, 5), A.nDims, /nDims is 5/],
    ['a dim beyond 2^53', u64(A.dims, 2n ** 53n), A.dims, /dims\[0\]/],
    ['a product beyond 2^64', u64(A.dims, 2n ** 52n), A.dims, /needs 36028797018963968 bytes/],
    [
      'a product that wraps to 0 in 64 bits',
      patched((view) => {
        view.setBigUint64(A.dims, 2n ** 32n, true);
        view.setBigUint64(A.dims + 8, 2n ** 32n, true);
      }),
      A.dims,
      /needs 73786976294838206464 bytes/,
    ],
    ['type', u32(A.type, 43), A.type, /type is 43/],
    ['row not of whole blocks', u64(B.dims, 33n), B.dims, /rows of 33, q8_0 needs a multiple of 32/],
    ['hole', u64(B.offset, 64n), B.offset, /offset is 64, expected 32/],
    ['overlap', u64(B.offset, 0n), B.offset, /offset is 0, expected 32/],
    ['data cut', small().subarray(0, -30), B.offset, /cut short/],
  ];
  for (const [what, bytes, offset, message] of cases) {
    test(what, async () => {
      const error = await open(bytes).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as FormatError).message).toMatch(message);
      expect((error as FormatError).offset).toBe(offset);
    });
  }

  test('another version, the other byte order and dropped types are unsupported, not damaged', async () => {
    for (const version of [1, 4, 0x03000000]) {
      await expect(open(u32(AT.version, version))).rejects.toThrow(UnsupportedError);
    }
    for (const [number, name] of REMOVED_GGML_TYPES) {
      await expect(open(u32(A.type, number))).rejects.toThrow(UnsupportedError);
      await expect(open(u32(A.type, number))).rejects.toThrow(`${number} (${name}, at byte ${A.type})`);
    }
  });

  test('arrays of arrays are unsupported however deep they are', async () => {
    // A u32 pair is 4 bytes of value: element type "array" fits exactly.
    const bytes = u32(AT.valueType, META_TYPES.indexOf('array'));
    new DataView(bytes.buffer).setUint32(AT.value, META_TYPES.indexOf('array'), true);
    await expect(open(bytes)).rejects.toThrow(UnsupportedError);
  });

  test('a key may be there once', async () => {
    const bytes = writeGguf({
      metadata: [
        ['k', 'u32', 7],
        ['l', 'u32', 7],
      ],
      tensors: [],
    });
    const second = AT.value + 4;
    bytes[second + 8] = 'k'.charCodeAt(0);
    await expect(open(bytes)).rejects.toThrow(`metadata key "k" is there twice (at byte ${second})`);
  });

  test('a key has at most 65535 bytes', async () => {
    const longest = writeGguf({ metadata: [['k'.repeat(65_535), 'u32', 7]], tensors: [] });
    await expect(open(longest)).resolves.toBeDefined();
    const longer = new Uint8Array(longest.length + 1);
    longer.set(longest.subarray(0, AT.key));
    longer.set(longest.subarray(AT.key), AT.key + 1);
    longer[AT.key] = 'k'.charCodeAt(0);
    new DataView(longer.buffer).setBigUint64(AT.keyLength, 65_536n, true);
    await expect(open(longer)).rejects.toThrow(/key 0 has 65536 bytes/);
  });

  test('alignment must be a u32 power of two from 8', async () => {
    const withAlignment = (type: MetaType, value: number) =>
      writeGguf({ metadata: [['general.alignment', type, value]], tensors: [] });
    for (const n of [0, 1, 2, 4, 3, 24, 33]) await expect(open(withAlignment('u32', n))).rejects.toThrow(FormatError);
    for (const n of [8, 16, 4096]) await expect(open(withAlignment('u32', n))).resolves.toBeDefined();
    await expect(open(withAlignment('i32', 32))).rejects.toThrow(FormatError);
    await expect(open(withAlignment('u64', 32))).rejects.toThrow(FormatError);
  });

  test('a bool is 0 or 1, alone and in an array', async () => {
    const alone = writeGguf({ metadata: [['k', 'bool', true]], tensors: [] });
    alone[AT.value] = 2;
    await expect(open(alone)).rejects.toThrow(/"k" is a bool of 2/);
    const array = writeGguf({ metadata: [['k', 'array', { arrayOf: 'bool', values: [true, false] }]], tensors: [] });
    array[array.length - 1] = 2;
    await expect(open(array)).rejects.toThrow(`"k"[1] is a bool of 2, expected 0 or 1 (at byte ${array.length - 1})`);
  });
});

describe('what comes out is what went in', () => {
  test('for any metadata and tensors', async () => {
    await fc.assert(fc.asyncProperty(ggufContents, (given) => comesBack(given, writeGguf(given))));
  });

  test('and a file with two bytes of data exchanged is caught', async () => {
    const swapped = (given: GgufContent) => {
      const file = writeGguf(given);
      const at = file.findLastIndex((byte, i) => i > 24 && byte !== file[i - 1]);
      [file[at - 1], file[at]] = [file[at]!, file[at - 1]!];
      return comesBack(given, file);
    };
    expect((await fc.check(fc.asyncProperty(ggufContents, swapped), SEARCH)).failed).toBe(true);
  });

  test('the writer refuses what the format cannot hold', () => {
    const meta =
      (type: MetaType, v: MetaValue, k = 'k') =>
      () =>
        writeGguf({ metadata: [[k, type, v]], tensors: [] });
    const tensors =
      (...given: GgufTensor[]) =>
      () =>
        writeGguf({ metadata: [], tensors: given });
    const one: GgufTensor = { name: 'a', type: 'f32', shape: [1], bytes: new Uint8Array(4) };
    const twice = ['k', 'u8', 1] as const;
    const refused = [
      meta('u8', 256),
      meta('i8', -129),
      meta('u32', -1),
      meta('u32', 0.5),
      meta('u64', 2n ** 64n),
      meta('i64', 2 ** 53),
      meta('f32', 'x'),
      meta('bool', 1),
      meta('string', '\ud800'),
      meta('string', 1),
      meta('array', 1),
      meta('u8', { arrayOf: 'u8', values: [1] }),
      meta('array', { arrayOf: 'u8', values: [256] }),
      meta('u8', 1, ''),
      meta('u8', 1, 'é'),
      () => writeGguf({ metadata: [twice, twice], tensors: [] }),
      () => writeGguf({ metadata: [], tensors: [], alignment: 24 }),
      tensors(one, one),
      tensors({ ...one, name: 'x'.repeat(65) }),
      tensors({ ...one, type: 'q4_2' }),
      tensors({ ...one, shape: [1, 1, 1, 1, 1] }),
      tensors({ ...one, shape: [2] }),
      tensors({ ...one, type: 'q8_0', shape: [16], bytes: new Uint8Array(17) }),
    ];
    for (const write of refused) expect(write).toThrow(ConfigError);
  });
});

describe('any damage gives a typed error or a model inside its file', () => {
  const file = writeGguf({
    metadata: [
      ['general.architecture', 'string', 'test'],
      ['n', 'u64', 2n ** 60n],
      ['yes', 'bool', true],
      ['tokens', 'array', { arrayOf: 'string', values: ['', 'a', Uint8Array.of(0xff)] }],
      ['scores', 'array', { arrayOf: 'f32', values: Float32Array.of(0.5, -1) }],
    ],
    tensors: [
      { name: 'a', type: 'f32', shape: [2, 3], bytes: new Uint8Array(24) },
      { name: 'empty', type: 'f16', shape: [0, 4], bytes: new Uint8Array(0) },
      { name: 'b', type: 'q4_0', shape: [32], bytes: new Uint8Array(18) },
    ],
    alignment: 8,
  });

  test('every bit flip and every truncation', async () => {
    let refused = 0;
    await everyDamage(file, async (bytes) => {
      if ((await openAnything(openGguf, bytes)) !== null) refused++;
    });
    // At least each truncation that reaches into the data (only the last padding, below 8 bytes, is not missed).
    expect(refused).toBeGreaterThan(file.length - 8);
  });

  test('every eight bytes set to every hard count', async () => {
    const hard = [0n, 1n, 2n ** 31n, 2n ** 32n, 2n ** 53n, 2n ** 61n + 1n, 2n ** 63n, 2n ** 64n - 1n];
    for (let at = 4; at + 8 <= file.length; at++) {
      for (const n of hard) {
        const bytes = file.slice();
        new DataView(bytes.buffer).setBigUint64(at, n, true);
        await openAnything(openGguf, bytes);
      }
    }
  });

  test('a reader that believes counts is caught', async () => {
    // What the property guards against: room for the claimed count, asked for before it is compared with the file.
    const believing = async (source: ByteSource) => {
      const head = new Uint8Array(24);
      await source.read(0, head);
      await source.read(
        24,
        new Uint8Array(Math.min(Number(new DataView(head.buffer).getBigUint64(16, true)), 2 ** 20)),
      );
      return openGguf(source);
    };
    const bytes = file.slice();
    new DataView(bytes.buffer).setBigUint64(16, 2n ** 63n, true);
    await expect(openAnything(believing, bytes)).rejects.toThrow(AbsurdRead);
  });
});

describe('large files', () => {
  /** A file whose data is never there in memory: the header, then zeros. */
  function sparse(header: Uint8Array, size: number): ByteSource {
    return {
      name: 'large.gguf',
      size,
      async read(offset, into) {
        into.fill(0);
        into.set(header.subarray(Math.min(offset, header.length), offset + into.length));
      },
      async close() {},
    };
  }

  test('twenty gigabytes are opened by reading the header', async () => {
    const rows = 2 ** 31 + 2 ** 29; // x 8 bytes
    const values = Array.from({ length: 50_000 }, (_, i) => `t${i}`);
    const header = writeGguf({
      metadata: [['tokens', 'array', { arrayOf: 'string', values }]],
      tensors: [{ name: 'big', type: 'i64', shape: [0], bytes: new Uint8Array(0) }],
    });
    // The name "big" is followed by nDims, and that by the dimension.
    const dimAt = header.lastIndexOf('b'.charCodeAt(0)) + 3 + 4;
    new DataView(header.buffer).setBigUint64(dimAt, BigInt(rows), true);
    const source = watch(sparse(header, header.length + rows * 8));
    const model = await openGguf(source);
    expect(model.tensors.get('big')?.nBytes).toBe(rows * 8);
    expect(source.readBytes).toBeLessThan(4 * header.length);
  });

  test('a header that never ends is a CapacityError, not a heap of memory', async () => {
    const header = writeGguf({ metadata: [['k', 'array', { arrayOf: 'u8', values: new Uint8Array(0) }]], tensors: [] });
    // The count is the last field; the file would have room for what it claims.
    new DataView(header.buffer).setBigUint64(header.length - 8, 2n ** 33n, true);
    const source = watch(sparse(header, 2 ** 34));
    await expect(openGguf(source)).rejects.toThrow(CapacityError);
    expect(source.readBytes).toBeLessThan(2 ** 20);
  });

  test('strings across the borders of the read window come out whole', async () => {
    const values = Array.from({ length: 3000 }, (_, i) =>
      String.fromCodePoint(0x4e00 + (i % 2000)).repeat((i * 7) % 101),
    );
    const scores = Float64Array.from({ length: 60_000 }, (_, i) => i / 7);
    const file = writeGguf({
      metadata: [
        ['long', 'string', 'x'.repeat(300_000)],
        ['tokens', 'array', { arrayOf: 'string', values }],
        ['scores', 'array', { arrayOf: 'f64', values: scores }],
        ['after', 'u32', 5],
      ],
      tensors: [],
    });
    const { metadata } = await open(file);
    expect(metadata.get('long')).toBe('x'.repeat(300_000));
    expect(metadata.get('tokens')).toEqual({ arrayOf: 'string', values });
    const read = metadata.get('scores') as MetaArray;
    expect((read.values as Float64Array).every((x, i) => x === scores[i]) && read.values.length).toBe(scores.length);
    expect(metadata.get('after')).toBe(5);
  });

  test('a file that shrinks while it is read is a FormatError', async () => {
    const file = small();
    const source = { ...bufferSource('m.gguf', file.subarray(0, 60)), size: file.length };
    await expect(openGguf(source)).rejects.toThrow(FormatError);
  });
});
