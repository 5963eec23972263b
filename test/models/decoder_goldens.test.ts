import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import type { Graph } from '../../src/graph/ir.ts';
import { openHfFolder } from '../../src/load/hf_folder.ts';
import { describeHfFolder, type ModelDescription } from '../../src/models/architectures.ts';
import { openNodeFolder } from '../../src/platform/node.ts';
import { executorOfGraph, F32_TIERS, firstDifference, logitsInChunks, type TierName } from '../support/executors.ts';
import { ROOT } from '../support/fixtures.ts';

/** Decoders that no other engine at hand runs, against test/golden/decoders.py, which computed them in float64. */

const GOLDENS = join(ROOT, 'test/goldens/decoders');
const NAMES: readonly string[] = readdirSync(GOLDENS).sort();

/** As in encoders.test.ts: f32 rounds 2^29 times as much as float64, and another model is as far away in both. */
const FINER = 2 ** -15;

async function open(name: string): Promise<ModelDescription> {
  return describeHfFolder(await openHfFolder(openNodeFolder(join(GOLDENS, name))));
}

function goldenOf(name: string): { readonly ids: readonly number[]; readonly logits: readonly number[] } {
  return JSON.parse(readFileSync(join(GOLDENS, name, 'golden.json'), 'utf8'));
}

async function logitsOf(
  tier: TierName,
  model: ModelDescription,
  graph: Graph,
  ids: readonly number[],
  chunks: readonly number[] = [],
): Promise<number[]> {
  const executor = await executorOfGraph(tier, graph, model.tensors);
  const logits = logitsInChunks(executor, ids, chunks);
  executor.dispose();
  return logits;
}

const farthest = (a: readonly number[], b: readonly number[]): number => {
  expect(a.length).toBe(b.length);
  return Math.max(...a.map((x, i) => Math.abs(x - b[i]!)));
};

test('there is a model of each kind', () => {
  const windows = ['qwen2_windows', 'qwen3_windows'];
  const falcons = ['falcon_alibi', 'falcon_rw'];
  const others = ['mistral_window', 'qwen2_moe', 'qwen2_moe_normalized'];
  expect(NAMES).toEqual(['dynamic_ntk', ...falcons, ...others, ...windows]);
});

describe.each(NAMES)('%s', (name) => {
  test('has the logits of the golden, and equal bits in f32, in chunks too', async () => {
    const { ids, logits } = goldenOf(name);
    const model = await open(name);
    const graph = model.buildGraph('f32', ids.length);
    const truth = farthest(await logitsOf('naive64', model, graph, ids), logits);
    const naive = await logitsOf('naive', model, graph, ids);
    expect(truth).toBeLessThanOrEqual(FINER * farthest(naive, logits));
    for (const tier of F32_TIERS.slice(1)) {
      for (const chunks of [[], [5, 1, 3]]) {
        expect(firstDifference(await logitsOf(tier, model, graph, ids, chunks), naive), tier).toBeUndefined();
      }
    }
  });
});

/** What the test above asks would not hold of a model whose windows, choice of experts, or stretched angles are others. */
test.each([
  ['qwen2_windows', { use_sliding_window: false }],
  ['qwen2_windows', { max_window_layers: 2 }],
  ['qwen2_windows', { sliding_window: 3 }],
  ['qwen3_windows', { layer_types: ['full_attention', 'full_attention', 'sliding_attention'] }],
  ['mistral_window', { sliding_window: null }],
  ['mistral_window', { sliding_window: 6 }],
  ['qwen2_moe', { norm_topk_prob: true }],
  ['qwen2_moe_normalized', { num_experts_per_tok: 3 }],
  ['falcon_rw', { alibi: false }],
  ['falcon_alibi', { alibi: false }],
  ['dynamic_ntk', { rope_scaling: null }],
  ['dynamic_ntk', { rope_scaling: { rope_type: 'dynamic', factor: 2 } }],
])('%s with %o is another model', async (name, changes) => {
  const { ids, logits } = goldenOf(name);
  const folder = await openHfFolder(openNodeFolder(join(GOLDENS, name)));
  const model = await describeHfFolder({ ...folder, config: { ...folder.config, ...changes } });
  const graph = model.buildGraph('f32', ids.length);
  const [truth, naive] = [await logitsOf('naive64', model, graph, ids), await logitsOf('naive', model, graph, ids)];
  expect(farthest(truth, logits)).toBeGreaterThan(FINER * farthest(naive, logits));
});
