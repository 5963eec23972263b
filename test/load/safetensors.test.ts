import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, FormatError } from '../../src/core/errors.ts';
import { type ByteSource, bufferSource } from '../../src/core/host.ts';
import { sizeOf } from '../../src/core/shape.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { SAFETENSORS_BITS } from '../../src/load/safetensors_header.ts';
import { type SafetensorsTensor, writeSafetensors } from '../../src/load/safetensors_writer.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { AbsurdRead, everyDamage, openAnything, watch } from './sources.ts';

const open = (bytes: Uint8Array) => openSafetensors(bufferSource('m.safetensors', bytes));

/** A file from header text as it stands, so that anything can be wrong with it. */
function file(header: string, dataBytes = 0): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(header);
  const bytes = new Uint8Array(8 + json.length + dataBytes);
  new DataView(bytes.buffer).setBigUint64(0, BigInt(json.length), true);
  bytes.set(json, 8);
  return bytes;
}

const entry = (dtype: string, shape: string, offsets: string) =>
  `{"dtype":"${dtype}","shape":${shape},"data_offsets":${offsets}}`;

describe('what a damaged header says', () => {
  /** The offset of an error is where `mark` stands in the header. */
  const cases: [string, string, number, string, RegExp][] = [
    ['leading space', ' {}', 0, ' {', /does not begin with "\{"/],
    ['an array', '[]', 0, '[', /does not begin/],
    ['two objects', '{}{}', 0, '{}', /the end of the JSON/],
    ['name twice', `{"a":${entry('U8', '[1]', '[0,1]')},"a":0}`, 1, '"a":0', /has the key "a" twice/],
    ['escaped name twice', `{"a":${entry('U8', '[1]', '[0,1]')},"\\u0061":0}`, 1, '"\\u0061"', /twice/],
    ['field twice', '{"a":{"dtype":"U8","dtype":"U8"}}', 0, '"dtype":"U8"}', /has the key "dtype" twice/],
    ['unknown field', '{"a":{"size":1}}', 0, '"size"', /unknown field "size"/],
    ['no dtype', '{"a":{"shape":[1],"data_offsets":[0,1]}}', 1, '{"shape"', /has no dtype/],
    ['no shape', '{"a":{"dtype":"U8","data_offsets":[0,1]}}', 1, '{"dtype"', /has no shape/],
    ['no offsets', '{"a":{"dtype":"U8","shape":[1]}}', 1, '{"dtype"', /has no data_offsets/],
    ['dtype', `{"a":${entry('F31', '[1]', '[0,4]')}}`, 4, '"F31"', /dtype is "F31"/],
    ['small dtype', `{"a":${entry('f32', '[1]', '[0,4]')}}`, 4, '"f32"', /dtype is "f32"/],
    ['negative dim', `{"a":${entry('U8', '[-1]', '[0,1]')}}`, 1, '-1', /integer of at least 0/],
    ['fraction', `{"a":${entry('U8', '[1.0]', '[0,1]')}}`, 1, '1.0', /not a plain integer/],
    ['exponent', `{"a":${entry('U8', '[1e0]', '[0,1]')}}`, 1, '1e0', /not a plain integer/],
    ['leading zero', `{"a":${entry('U8', '[01]', '[0,1]')}}`, 1, '01', /leading zero/],
    ['2^53', `{"a":${entry('U8', '[9007199254740992]', '[0,1]')}}`, 1, '9007', /less than 2\^53/],
    ['size', `{"a":${entry('F32', '[2]', '[0,4]')}}`, 4, '[0,4]', /needs 8 bytes/],
    ['half a byte', `{"a":${entry('F4', '[3]', '[0,1]')}}`, 1, '[0,1]', /needs half bytes/],
    ['2^64 elements', `{"a":${entry('U8', '[4294967296,4294967296]', '[0,0]')}}`, 0, '[0,0]', /needs 1475/],
    ['offsets backwards', `{"a":${entry('U8', '[0]', '[1,0]')}}`, 1, '[1,0]', /are 1 to 0/],
    ['hole at the start', `{"a":${entry('U8', '[1]', '[1,2]')}}`, 2, '[1,2]', /hole or an overlap/],
    ['past the end', `{"a":${entry('U8', '[2]', '[0,2]')}}`, 1, '[0,2]', /cut short/],
    ['metadata of numbers', '{"__metadata__":{"n":1}}', 0, '1', /a string, found "1"/],
    ['control character', '{"a\nb":0}', 0, '\nb', /the end of a key/],
    ['half a surrogate pair', '{"\\ud800":0}', 0, '"\\ud800"', /surrogate/],
    ['escape', '{"\\x":0}', 0, '\\x', /escapes nothing/],
    ['trailing comma', '{"__metadata__":{},}', 0, '}', /a key of the header/],
  ];
  for (const [what, header, dataBytes, mark, message] of cases) {
    test(what, async () => {
      const error = await open(file(header, dataBytes)).catch((e: unknown) => e);
      expect(error).toBeInstanceOf(FormatError);
      expect((error as FormatError).message).toMatch(message);
      expect((error as FormatError).offset).toBe(8 + header.lastIndexOf(mark));
    });
  }

  test('bytes after the last tensor', async () => {
    const bytes = file(`{"a":${entry('U8', '[1]', '[0,1]')}}`, 3);
    await expect(open(bytes)).rejects.toThrow(
      `2 bytes after the last tensor belong to none (at byte ${bytes.length - 2})`,
    );
  });

  test('a header of nothing but axes is refused at once', async () => {
    // The product of a million axes of 2^53 has 53 million bits; multiplying it out would take hours.
    const axes = Array.from({ length: 100_000 }, () => '9007199254740991').join(',');
    await expect(open(file(`{"a":${entry('U8', `[${axes}]`, '[0,0]')}}`))).rejects.toThrow(FormatError);
  });

  test('a name of a megabyte is not repeated in the message', async () => {
    const error = await open(file(`{"${'x'.repeat(1e6)}":0}`)).catch((e: unknown) => e as Error);
    expect((error as Error).message.length).toBeLessThan(300);
  });
});

test('every type is given its bits, packed types in whole bytes', async () => {
  for (const [dtype, bits] of SAFETENSORS_BITS) {
    const { tensors } = await open(file(`{"t":${entry(dtype, '[2,4]', `[0,${bits}]`)}}`, bits));
    expect(tensors.get('t')).toMatchObject({ type: dtype.toLowerCase(), shape: [2, 4], nBytes: bits });
  }
});

describe('what comes out is what went in', () => {
  const data = {
    F32: (n: number) => fc.float32Array({ minLength: n, maxLength: n }),
    F64: (n: number) => fc.float64Array({ minLength: n, maxLength: n }),
    I32: (n: number) => fc.int32Array({ minLength: n, maxLength: n }),
  };
  const tensor = fc
    .record({
      name: fc.oneof(fc.string({ unit: 'grapheme' }), fc.constantFrom('__proto__', 'constructor', '1', '0', '')),
      dtype: fc.constantFrom('F32', 'F64', 'I32'),
      shape: fc.array(fc.integer({ min: 0, max: 4 }), { maxLength: 3 }),
    })
    .chain(({ name, dtype, shape }) =>
      data[dtype as keyof typeof data](sizeOf(shape)).map(
        (values) => ({ name, dtype, shape, data: values }) as SafetensorsTensor,
      ),
    );
  const tensors = fc.uniqueArray(tensor, { selector: (t) => t.name });
  const metadata = fc.dictionary(fc.string({ unit: 'grapheme' }), fc.string({ unit: 'grapheme' }));

  const comesBack = async (given: SafetensorsTensor[], strings: Record<string, string>, bytes: Uint8Array) => {
    const model = await open(bytes);
    expect(Object.fromEntries(model.metadata)).toEqual({ ...strings });
    expect(new Set(model.tensors.keys())).toEqual(new Set(given.map((t) => t.name)));
    for (const { name, dtype, shape, data: values } of given) {
      const info = model.tensors.get(name)!;
      expect({ type: info.type, shape: info.shape }).toEqual({ type: dtype.toLowerCase(), shape });
      expect(info.offset % values.BYTES_PER_ELEMENT, 'aligned to its type').toBe(0);
      const written = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
      expect(bytes.slice(info.offset, info.offset + info.nBytes)).toEqual(written.slice());
    }
  };

  test('for any tensors and metadata, bit for bit', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, metadata, (given, strings) =>
        comesBack(given, strings, writeSafetensors(given, strings)),
      ),
    );
  });

  test('and a file with one bit of data turned is caught', async () => {
    const turned = async (given: SafetensorsTensor[]) => {
      const bytes = writeSafetensors(given);
      bytes[bytes.length - 1]! ^= 1;
      await comesBack(given, {}, bytes);
    };
    expect((await fc.check(fc.asyncProperty(tensors, turned), SEARCH)).failed).toBe(true);
  });

  test('views into larger buffers are written as what they show', async () => {
    const whole = Float32Array.of(1, 2, 3, 4);
    const bytes = writeSafetensors([{ name: 'v', dtype: 'F32', shape: [2], data: whole.subarray(1, 3) }]);
    const info = (await open(bytes)).tensors.get('v')!;
    expect(new Float32Array(bytes.slice(info.offset).buffer)).toEqual(Float32Array.of(2, 3));
  });

  test('the writer refuses what the format cannot hold', () => {
    const one: SafetensorsTensor = { name: 'a', dtype: 'F32', shape: [1], data: new Float32Array(1) };
    expect(() => writeSafetensors([one, one])).toThrow(ConfigError);
    expect(() => writeSafetensors([{ ...one, name: '__metadata__' }])).toThrow(ConfigError);
    expect(() => writeSafetensors([{ ...one, name: '\udc00' }])).toThrow(ConfigError);
    expect(() => writeSafetensors([], { k: '\ud800' })).toThrow(ConfigError);
    expect(() => writeSafetensors([{ ...one, shape: [2] }])).toThrow(ConfigError);
  });
});

describe('any damage gives a typed error or a model inside its file', () => {
  const bytes = writeSafetensors(
    [
      { name: 'a', dtype: 'F32', shape: [2, 2], data: Float32Array.of(1, 2, 3, 4) },
      { name: 'é', dtype: 'F64', shape: [], data: Float64Array.of(1) },
      { name: 'none', dtype: 'I32', shape: [0, 3], data: new Int32Array(0) },
    ],
    { format: 'pt' },
  );

  test('every bit flip and every truncation', async () => {
    let refused = 0;
    await everyDamage(bytes, async (damaged) => {
      if ((await openAnything(openSafetensors, damaged)) !== null) refused++;
    });
    expect(refused).toBeGreaterThanOrEqual(bytes.length); // each truncation, at least
  });

  test('a reader that believes the header length is caught', async () => {
    const believing = async (source: ByteSource) => {
      const length = new Uint8Array(8);
      await source.read(0, length);
      const n = Number(new DataView(length.buffer).getBigUint64(0, true));
      await source.read(8, new Uint8Array(Math.min(n, 2 ** 20)));
      return openSafetensors(source);
    };
    const damaged = bytes.slice();
    damaged[6] = 0xff;
    await expect(openAnything(believing, damaged)).rejects.toThrow(AbsurdRead);
  });
});

test('a large file is opened by reading its header', async () => {
  const size = 5e9;
  const header = file(`{"big":${entry('U8', `[${size}]`, `[0,${size}]`)}}`);
  const source = watch({
    name: 'large.safetensors',
    size: header.length + size,
    read: (offset, into) => bufferSource('header', header).read(offset, into),
    close: async () => {},
  });
  expect((await openSafetensors(source)).tensors.get('big')?.nBytes).toBe(size);
  expect(source.readBytes).toBe(header.length);
});
