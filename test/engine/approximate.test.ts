import { expect, test } from 'vitest';
import { graphFromJson, graphToJson } from '../../src/graph/graph_json.ts';
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

test('a saved graph that holds an approximate op is read back, and has its bits', async () => {
  await using model = await loadModel('embedded', { approximate: ['cheap_silu'] });
  const { graph: saved } = model.executor;
  expect(saved.nodes.some(({ op }) => op.includes('fast'))).toBe(true);
  const graph = graphFromJson(JSON.parse(graphToJson(saved)), 'saved.json');
  expect(graph).toEqual(saved);
  const expected = await logits({ approximate: ['cheap_silu'] });
  for (const executor of ['wasm', 'naive'] as const) {
    expect(firstBitDifference(await logits({ graph, executor }), expected)).toBe(-1);
  }
});
