import { readdirSync, readFileSync } from 'node:fs';
import { expect, test } from 'vitest';
import { DTYPES } from '../../src/core/dtype.ts';
import { bufferSource } from '../../src/core/host.ts';
import { GGML_TYPES, ggmlTypeNumber, REMOVED_GGML_TYPES } from '../../src/load/gguf_types.ts';
import { openSafetensors } from '../../src/load/safetensors.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';

test('a number is a type, a removed type, or neither', () => {
  for (const number of REMOVED_GGML_TYPES.keys()) expect(GGML_TYPES.has(number)).toBe(false);
  const numbers = [...GGML_TYPES.keys(), ...REMOVED_GGML_TYPES.keys()].sort((a, b) => a - b);
  expect(numbers).toEqual(Array.from({ length: 43 }, (_, i) => i));
});

test('what the engine computes with has the same blocks here', () => {
  for (const [name, format] of Object.entries(DTYPES)) {
    const number = ggmlTypeNumber(name);
    expect(GGML_TYPES.get(number!), name).toEqual({ name, ...format });
  }
});

describeWithFixture('quants', 'block sizes as ggml itself reports them', () => {
  for (const file of readdirSync(fixture('quants')).filter((name) => name.endsWith('.safetensors'))) {
    test(file, async () => {
      const { metadata } = await openSafetensors(bufferSource(file, readFileSync(fixture('quants', file))));
      const text = (key: string) => String(metadata.get(key));
      expect(GGML_TYPES.get(Number(text('ggml_type')))).toEqual({
        name: text('type').toLowerCase(),
        blockSize: Number(text('block_size')),
        blockBytes: Number(text('type_size')),
      });
    });
  }
});
