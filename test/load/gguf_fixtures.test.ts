import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { CapacityError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';
import { expectInside, watch } from './sources.ts';

interface Case {
  readonly file: string;
  readonly expect: 'accept' | 'reject';
  readonly why: string;
}

/** Where the truth is not "damaged" but "not read here": the message says so, and still has the byte. */
const UNSUPPORTED = new Set([
  'header-version-1.gguf',
  'header-version-4.gguf',
  'header-byte-swapped.gguf',
  'kv-array-nested-1000.gguf',
  'tensor-type-removed.gguf',
]);

describeWithFixture('gguf-bad', 'malformed GGUF files', () => {
  for (const { file, expect: verdict, why } of readFixtureJson<Case[]>('gguf-bad', 'cases.json')) {
    test(`${file}: ${verdict}, ${why}`, async () => {
      const bytes = readFileSync(fixture('gguf-bad', file));
      const source = watch(bufferSource(file, bytes));
      const result = await openGguf(source).catch((error: unknown) => error);
      expect(source.readBytes).toBeLessThanOrEqual(2 * bytes.length);
      if (verdict === 'accept') {
        expect(result).not.toBeInstanceOf(Error);
        expectInside(result as Awaited<ReturnType<typeof openGguf>>);
      } else if (UNSUPPORTED.has(file)) {
        expect(result).toBeInstanceOf(UnsupportedError);
        expect((result as Error).message).toMatch(/at byte \d+/);
      } else {
        expect(result).toBeInstanceOf(FormatError);
        expect(result).not.toBeInstanceOf(CapacityError);
        expect((result as FormatError).offset).toBeGreaterThanOrEqual(0);
        expect((result as FormatError).offset).toBeLessThanOrEqual(bytes.length);
        expect((result as Error).message).toMatch(/^[^:]+\.gguf: .+ \(at byte \d+\)$/);
      }
    });
  }

  test('every value type is read as it was written', async () => {
    const name = 'ok-all-value-types.gguf';
    const { metadata } = await openGguf(bufferSource(name, readFileSync(fixture('gguf-bad', name))));
    expect(Object.fromEntries(metadata)).toEqual({
      'general.architecture': 'test',
      't.u8': 255,
      't.i8': -128,
      't.u16': 65535,
      't.i16': -32768,
      't.u32': 2 ** 32 - 1,
      't.i32': -(2 ** 31),
      't.f32': 1.5,
      't.bool': true,
      't.str': 'x',
      't.u64': 2n ** 64n - 1n,
      't.i64': -(2n ** 63n),
      't.f64': 0.1,
      'a.u8': { arrayOf: 'u8', values: Uint8Array.of(0, 255) },
      'a.i8': { arrayOf: 'i8', values: Int8Array.of(-1) },
      'a.u16': { arrayOf: 'u16', values: Uint16Array.of(1) },
      'a.i16': { arrayOf: 'i16', values: Int16Array.of(-1) },
      'a.u32': { arrayOf: 'u32', values: Uint32Array.of(1, 2, 3) },
      'a.i32': { arrayOf: 'i32', values: Int32Array.of(-1) },
      'a.f32': { arrayOf: 'f32', values: Float32Array.of(0.5, -0.5) },
      'a.bool': { arrayOf: 'bool', values: [false, true] },
      'a.str': { arrayOf: 'string', values: ['', 'a', 'é'] },
      'a.u64': { arrayOf: 'u64', values: BigUint64Array.of(2n ** 53n + 1n) },
      'a.i64': { arrayOf: 'i64', values: BigInt64Array.of(-(2n ** 53n) - 1n) },
      'a.f64': { arrayOf: 'f64', values: Float64Array.of(1e300) },
      'a.none': { arrayOf: 'u32', values: new Uint32Array(0) },
    });
  });

  test('a cut character in a vocabulary stays bytes', async () => {
    const name = 'ok-string-value-not-utf8.gguf';
    const { metadata } = await openGguf(bufferSource(name, readFileSync(fixture('gguf-bad', name))));
    expect(metadata.get('tokenizer.ggml.tokens')).toEqual({
      arrayOf: 'string',
      values: [Uint8Array.of(0xff), Uint8Array.of(0xe2, 0x96), '▁'],
    });
  });
});
