import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { loadModelFrom } from '../../src/index.ts';
import { openGguf } from '../../src/load/gguf.ts';
import { HOST } from '../support/executors.ts';
import { ROOT } from '../support/fixtures.ts';

const EMBEDDED = readFileSync(join(ROOT, 'src/embedded/lm/model.gguf'));

/** The embedded model with some bytes of one tensor replaced. */
async function damaged(tensor: string, at: number, bytes: readonly number[]) {
  const copy = new Uint8Array(EMBEDDED);
  const file = await openGguf(bufferSource('model', copy));
  copy.set(bytes, file.tensors.get(tensor)!.offset + at);
  return loadModelFrom({ kind: 'file', source: bufferSource('damaged.gguf', copy) }, HOST);
}

const F16_NAN = [0x00, 0x7e];
const F32_INF = [0x00, 0x00, 0x80, 0x7f];
const F32_LARGE = [0x00, 0x00, 0x00, 0x7f]; // 1.7e38
/** Bytes of one Q8_0 block. */
const BLOCK = 34;

describe('numbers that are not finite', () => {
  test.each([
    ['a NaN scale', 'blk.1.ffn_up.weight', 3 * BLOCK, F16_NAN, /tensor blk\.1\.ffn_up\.weight: element 96 is NaN/],
    [
      'an infinite norm',
      'blk.2.attn_norm.weight',
      4,
      F32_INF,
      /tensor blk\.2\.attn_norm\.weight: element 1 is Infinity/,
    ],
  ] as const)('%s is named by its tensor, and nothing is sampled', async (_, tensor, at, bytes, message) => {
    await using model = await damaged(tensor, at, bytes);
    const run = model.generate('Once upon a time', { maxTokens: 3 }).next();
    await expect(run).rejects.toMatchObject({ name: 'KernelError', message: expect.stringMatching(message) });
  });

  test('finite weights that overflow are named by the first value that does', async () => {
    await using model = await damaged('blk.3.ffn_norm.weight', 0, [...F32_LARGE, ...F32_LARGE, ...F32_LARGE]);
    const run = model.generate('Once upon a time', { maxTokens: 3 }).next();
    await expect(run).rejects.toThrow(
      /value blk\.3\.ffn_\w+(\.taken)? \(\w+\), element \d+, is (NaN|-?Infinity): all weights are finite/,
    );
  });
});
