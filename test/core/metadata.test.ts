import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import {
  getBool,
  getCount,
  getNumber,
  getNumbers,
  getString,
  getStrings,
  type MetaValue,
  needBool,
  needCount,
  needNumber,
  needNumbers,
  needString,
  needStrings,
} from '../../src/core/metadata.ts';

const values: Record<string, MetaValue> = {
  text: 'llama',
  cut: Uint8Array.of(0xe2, 0x96),
  int: 5,
  negative: -5,
  half: 0.5,
  nan: Number.NaN,
  big: 2n ** 60n,
  yes: true,
  pieces: { arrayOf: 'string', values: ['a', Uint8Array.of(0xff)] },
  scores: { arrayOf: 'f32', values: Float32Array.of(-1, 0.5) },
  longs: { arrayOf: 'i64', values: BigInt64Array.of(-1n, 7n) },
  tooLong: { arrayOf: 'u64', values: BigUint64Array.of(2n ** 53n) },
  flags: { arrayOf: 'bool', values: [true] },
  nothing: { arrayOf: 'u32', values: new Uint32Array(0) },
};
const meta = new Map(Object.entries(values));

/** For every accessor, the keys it accepts and what it must give; every other key must be refused with a ConfigError. */
const TABLE = {
  string: [getString, needString, { text: 'llama' }],
  number: [getNumber, needNumber, { int: 5, negative: -5, half: 0.5, nan: Number.NaN }],
  count: [getCount, needCount, { int: 5 }],
  bool: [getBool, needBool, { yes: true }],
  strings: [getStrings, needStrings, { pieces: ['a', Uint8Array.of(0xff)], nothing: [] }],
  numbers: [getNumbers, needNumbers, { scores: Float32Array.of(-1, 0.5), longs: Float64Array.of(-1, 7), nothing: [] }],
} as const;

describe('metadata accessors', () => {
  for (const [what, [get, need, accepted]] of Object.entries(TABLE)) {
    test(`${what}: the right type is given, every other type is a ConfigError that names the key`, () => {
      for (const key of Object.keys(values)) {
        if (key in accepted) {
          expect(get(meta, key), key).toEqual((accepted as Record<string, unknown>)[key]);
          expect(need(meta, key), key).toEqual((accepted as Record<string, unknown>)[key]);
        } else {
          expect(() => get(meta, key), key).toThrow(ConfigError);
          expect(() => get(meta, key), key).toThrow(`"${key}"`);
        }
      }
    });
    test(`${what}: a missing key is undefined for get and a ConfigError for need`, () => {
      expect(get(meta, 'absent')).toBeUndefined();
      expect(() => need(meta, 'absent')).toThrow(/"absent" is missing/);
    });
  }
});
