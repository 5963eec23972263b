import { expect, test } from 'vitest';
import { ALL_DTYPES, type DType } from '../../../src/core/dtype.ts';
import { bufferSource } from '../../../src/core/host.ts';
import { loadModel } from '../../../src/engine/load_model.ts';
import type { LoadOptions } from '../../../src/engine/options.ts';
import { graphFromJson, graphToJson } from '../../../src/graph/graph_json.ts';
import type { Node } from '../../../src/graph/ir.ts';
import { optimize } from '../../../src/graph/passes/index.ts';
import { verify } from '../../../src/graph/verify.ts';
import { withWideSums } from '../../../src/graph/wide_sums.ts';
import { openModelFile } from '../../../src/load/open_model.ts';
import type { RandomArchitectureName } from '../../../src/load/random_architectures.ts';
import { randomGguf } from '../../../src/load/random_gguf.ts';
import { describeGguf } from '../../../src/models/architectures.ts';
import { createNodeHost } from '../../../src/platform/node.ts';
import { fileOfCase } from '../../support/architecture_cases.ts';
import { executorOfGraph, F32_TIERS, firstDifference, logitsInChunks } from '../../support/executors.ts';

const IDS = [1, 77, 130, 45, 12];
const SHAPE = { nLayers: 1, dim: 256, nHeads: 4, nKvHeads: 2, hiddenDim: 256, tied: true, vocab: 260, maxContext: 48 };

async function graphOf(architecture: RandomArchitectureName, format: DType, shape = SHAPE) {
  const chunks = randomGguf({ architecture, shape, format, seed: 2 }).chunks();
  const bytes = Buffer.concat(Array.from(chunks, (part) => part.slice()));
  const { tensors, buildGraph } = await describeGguf(await openModelFile(bufferSource('m.gguf', bytes)));
  return { tensors, graph: buildGraph('f32') };
}

/** Every format, and every op that sums. */
const CASES = [
  ...ALL_DTYPES.map((format) => ['llama', format] as const),
  ...(['mixtral', 'deepseek2', 'gemma2'] as const).map((architecture) => [architecture, 'q8_0'] as const),
];

test.each(CASES)(
  '%s, %s: sums in f64 have equal bits in all tiers, chunks and threads',
  async (architecture, format) => {
    const { tensors, graph } = await graphOf(architecture, format);
    const wide = withWideSums(graph);
    const [naive, ...others] = F32_TIERS;
    const definition = await executorOfGraph(naive!, wide, tensors);
    const logits = logitsInChunks(definition, IDS, []);
    definition.dispose();
    for (const tier of others) {
      const executor = await executorOfGraph(tier, optimize(wide), tensors);
      expect(firstDifference(logitsInChunks(executor, IDS, []), logits), tier).toBeUndefined();
      expect(firstDifference(logitsInChunks(executor, IDS, [1, 3]), logits), `${tier}, in chunks`).toBeUndefined();
      executor.dispose();
    }
    if (format !== 'q8_0') return;
    const threaded = await executorOfGraph(others[0]!, optimize(wide), tensors, undefined, 2);
    expect(firstDifference(logitsInChunks(threaded, IDS, []), logits), 'two threads').toBeUndefined();
    threaded.dispose();
    const narrow = await executorOfGraph(others[0]!, optimize(graph), tensors);
    expect(firstDifference(logitsInChunks(narrow, IDS, []), logits), 'it is another form').toBeDefined();
    narrow.dispose();
  },
);

test('rows that are longer than what other products unpack at a time have their scratch', async () => {
  const { tensors, graph } = await graphOf('llama', 'f16', { ...SHAPE, dim: 64, hiddenDim: 9000 });
  const wide = withWideSums(graph);
  const [naive, ...others] = F32_TIERS;
  const definition = await executorOfGraph(naive!, wide, tensors);
  const logits = logitsInChunks(definition, IDS, []);
  definition.dispose();
  for (const tier of others) {
    const executor = await executorOfGraph(tier, optimize(wide), tensors);
    expect(firstDifference(logitsInChunks(executor, IDS, []), logits), tier).toBeUndefined();
    executor.dispose();
  }
});

test('a graph with wide sums is read back as it was written, before and after the passes', async () => {
  const { graph } = await graphOf('deepseek2', 'f16');
  for (const one of [withWideSums(graph), optimize(withWideSums(graph))]) {
    expect(one.nodes.filter((node) => 'sums' in node).length).toBeGreaterThan(5);
    for (const node of one.nodes) {
      expect(node.op, 'the fused form has sums in f32').not.toBe('attend');
      if (node.op === 'linear') expect(node.sums).toBe('f64');
    }
    expect(graphFromJson(JSON.parse(graphToJson(one)), 'graph.json')).toEqual(one);
  }
});

test('a graph that says both for a product is refused, of every kind', async () => {
  for (const [architecture, op] of [
    ['deepseek2', 'linear'],
    ['deepseek2', 'head_linear'],
    ['mixtral', 'expert_linear'],
  ] as const) {
    const wide = withWideSums((await graphOf(architecture, 'f16')).graph);
    verify(wide);
    const at = wide.nodes.findIndex((node) => node.op === op);
    expect(at, op).toBeGreaterThan(0);
    const nodes = wide.nodes.with(at, { ...wide.nodes[at]!, activations: 'q8' } as Node);
    expect(() => verify({ ...wide, nodes }), op).toThrow('sums f64 with activations q8');
  }
});

test('with activations q8 it is refused, naming both and what to do', async () => {
  const file = fileOfCase({ architecture: 'llama', layout: 'grouped', format: 'f32', seed: 1 });
  const source = { kind: 'file', source: bufferSource('m.gguf', file), folder: undefined } as const;
  await expect(loadModel(source, createNodeHost(), { sums: 'f64' })).rejects.toThrow(
    'sums is f64 and activations is q8, whose sums are of integers; use activations f32, or sums f32',
  );
});

test('a paged cache gives the bits of the naive tier', async () => {
  const file = fileOfCase({ architecture: 'gemma2', layout: 'grouped', format: 'f32', seed: 1 });
  const rowsOf = async (options: object) => {
    const source = { kind: 'file', source: bufferSource('m.gguf', file), folder: undefined } as const;
    await using model = await loadModel(source, createNodeHost(), { activations: 'f32', sums: 'f64', ...options });
    using session = model.createSession();
    return (await session.append(Array.from({ length: 40 }, (_, i) => 1 + ((i * 97) % 300)))).data;
  };
  const naive = await rowsOf({ executor: 'naive' });
  expect(firstDifference(await rowsOf({ kv: { kind: 'paged', pageSize: 16 } }), naive)).toBeUndefined();
  expect(firstDifference(await rowsOf({ prefillChunk: 7, threads: 2 }), naive)).toBeUndefined();
});

test.each([
  { kind: 'lossy', window: 64, sinks: 2 },
  { kind: 'lossy', type: 'q8_0' },
  { kind: 'lossy', type: 'q4_0', recent: 40 },
  { kind: 'evict', by: 'importance', budget: 40, sinks: 2, recent: 10 },
] as const)('a cache that loses rows has the bits of the naive tier: %j', async (kv) => {
  const shape = { ...SHAPE, maxContext: 128 }; // rows of 64 head dims, whole blocks
  const chunks = randomGguf({ architecture: 'llama', shape, format: 'f32', seed: 2 }).chunks();
  const file = new Uint8Array(Buffer.concat(Array.from(chunks, (part) => part.slice())));
  const rowsOf = async (options: LoadOptions) => {
    const source = { kind: 'file', source: bufferSource('m.gguf', file), folder: undefined } as const;
    await using model = await loadModel(source, createNodeHost(), {
      activations: 'f32',
      kv,
      prefillChunk: 7,
      ...options,
    });
    using session = model.createSession();
    return (await session.append(Array.from({ length: 90 }, (_, i) => 1 + ((i * 97) % 250)))).data;
  };
  const naive = await rowsOf({ executor: 'naive', sums: 'f64' });
  expect(firstDifference(await rowsOf({ sums: 'f64' }), naive)).toBeUndefined();
  expect(firstDifference(await rowsOf({ sums: 'f64', threads: 2 }), naive), 'two threads').toBeUndefined();
  expect(firstDifference(await rowsOf({}), naive), 'it is another form').toBeDefined();
});
