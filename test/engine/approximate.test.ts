import { expect, test } from 'vitest';
import { type LoadOptions, loadModel } from '../../src/index.node.ts';
import { firstBitDifference } from '../support/bits.ts';

async function logits(options: LoadOptions): Promise<Float32Array> {
  await using model = await loadModel('embedded', options);
  const cache = model.executor.createCache(8);
  const sequence = cache.create();
  cache.reserve(sequence, 4);
  const rows = Int32Array.of(0, 1, 2, 3);
  const segments = [{ sequence, from: 0, count: 4 }];
  const { data } = model.executor.run(
    { ids: Int32Array.of(1, 7, 30, 200), positions: rows, segments, outRows: rows },
    cache,
  );
  return Float32Array.from(data);
}

test('an approximate pass changes the logits, and naive and wasm still have the same bits', async () => {
  const approximate = ['cheap_silu'];
  const fast = await logits({ approximate });
  expect(firstBitDifference(await logits({ approximate, executor: 'naive' }), fast)).toBe(-1);
  expect(firstBitDifference(await logits({}), fast)).not.toBe(-1);
});

test('an exact pass is refused as an approximate one', async () => {
  await expect(loadModel('embedded', { approximate: ['merge_qkv'] })).rejects.toThrow(
    /approximate passes are cheap_silu/,
  );
});
