import { readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { FormatError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';
import { expectInside, watch } from './sources.ts';

interface Case {
  readonly file: string;
  readonly expect: 'accept' | 'reject';
  readonly why: string;
}

describeWithFixture('safetensors-bad', 'malformed safetensors files', () => {
  for (const { file, expect: verdict, why } of readFixtureJson<Case[]>('safetensors-bad', 'cases.json')) {
    test(`${file}: ${verdict}, ${why}`, async () => {
      const bytes = readFileSync(fixture('safetensors-bad', file));
      const source = watch(bufferSource(file, bytes));
      const result = await openSafetensors(source).catch((error: unknown) => error);
      expect(source.readBytes).toBeLessThanOrEqual(bytes.length);
      if (verdict === 'accept') {
        expect(result).not.toBeInstanceOf(Error);
        expectInside(result as Awaited<ReturnType<typeof openSafetensors>>);
      } else {
        expect(result).toBeInstanceOf(FormatError);
        expect((result as FormatError).offset).toBeGreaterThanOrEqual(0);
        expect((result as FormatError).offset).toBeLessThanOrEqual(bytes.length);
        expect((result as Error).message).toMatch(/^[^:]+\.safetensors: .+ \(at byte \d+\)$/);
      }
    });
  }

  test('types, shapes and places of every common dtype', async () => {
    const name = 'ok-dtypes.safetensors';
    const { tensors } = await openSafetensors(bufferSource(name, readFileSync(fixture('safetensors-bad', name))));
    const sizes = {
      bool: 1,
      u8: 1,
      i8: 1,
      u16: 2,
      i16: 2,
      f16: 2,
      bf16: 2,
      u32: 4,
      i32: 4,
      f32: 4,
      u64: 8,
      i64: 8,
      f64: 8,
    };
    expect([...tensors.values()].map(({ type, shape, nBytes }) => [type, shape, nBytes])).toEqual(
      Object.entries(sizes).map(([type, nBytes]) => [type, [1], nBytes]),
    );
  });

  test('names that objects have by nature are ordinary names', async () => {
    const name = 'ok-proto-name.safetensors';
    const { tensors } = await openSafetensors(bufferSource(name, readFileSync(fixture('safetensors-bad', name))));
    expect([...tensors.keys()]).toEqual(['__proto__', 'constructor']);
  });
});
