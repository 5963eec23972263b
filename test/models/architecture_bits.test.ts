import fc from 'fast-check';
import { expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { boundedRun } from '../../src/exec/bounds.ts';
import { loadWeights } from '../../src/exec/load_weights.ts';
import { openModelFile } from '../../src/load/open_model.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { describeGguf } from '../../src/models/architectures.ts';
import { ALL_ARCHITECTURES, ALL_LAYOUTS, fileOfCase } from '../support/architecture_cases.ts';
import { batchOf, executorOfGraph, F32_TIERS, firstDifference, logitsInChunks, traceOf } from '../support/executors.ts';

/** Every architecture of which random models can be written: naive and wasm have the same bits, on random small models. */

const VOCAB = 260;

const shapes = fc
  .record({
    // A head is 8 wide or more: below, sizes of a share of a head (a partial rope) are degenerate.
    heads: fc.constantFrom([4, 4, 8], [4, 2, 8], [2, 1, 16], [4, 1, 8], [6, 3, 16], [1, 1, 32], [4, 2, 16]),
    hiddenDim: fc.constantFrom(32, 96, 160),
    nLayers: fc.integer({ min: 1, max: 2 }),
    tied: fc.boolean(),
  })
  .map(({ heads: [nHeads, nKvHeads, headDim], ...rest }) => {
    return { ...rest, nHeads: nHeads!, nKvHeads: nKvHeads!, dim: nHeads! * headDim!, vocab: VOCAB, maxContext: 48 };
  });
const forms = fc.constantFrom(
  ['f32', 'f32'] as const,
  ['f16', 'f32'] as const,
  ['q8_0', 'q8'] as const,
  ['q4_0', 'q8'] as const,
  ['q5_1', 'f32'] as const,
);

test.each(ALL_ARCHITECTURES)('%s: every value, in chunks and with two threads too', async (architecture) => {
  let nCompared = 0;
  const ids = fc.array(fc.nat(VOCAB - 1), { minLength: 1, maxLength: 21 });
  const chunkLengths = fc.array(fc.integer({ min: 1, max: 9 }));
  await fc.assert(
    fc.asyncProperty(shapes, forms, fc.nat(1000), ids, chunkLengths, async (shape, form, seed, tokens, chunks) => {
      const [format, activations] = form;
      const bytes = Buffer.concat(
        Array.from(randomGguf({ architecture, shape, format, seed }).chunks(), (part) => part.slice()),
      );
      const { tensors, buildGraph } = await describeGguf(await openModelFile(bufferSource('random.gguf', bytes)));
      const graph = buildGraph(activations);
      const [naive, ...others] = F32_TIERS;
      const definition = await executorOfGraph(naive!, graph, tensors);
      const expected = traceOf(definition, tokens);
      const logits = expected.get(graph.nodes[graph.output]!.name)!.data;
      definition.dispose();
      for (const tier of others) {
        const executor = await executorOfGraph(tier, graph, tensors);
        for (const [name, { data }] of traceOf(executor, tokens)) {
          const defined = expected.get(name);
          if (defined === undefined) continue; // a merged value
          nCompared++;
          expect(firstDifference(data, defined.data), `${tier}: ${name}`).toBeUndefined();
        }
        expect(firstDifference(logitsInChunks(executor, tokens, chunks), logits), `${tier}: chunks`).toBeUndefined();
        executor.dispose();
      }
      const threaded = await executorOfGraph(others[0]!, graph, tensors, undefined, 2);
      expect(firstDifference(logitsInChunks(threaded, tokens, []), logits), 'two threads').toBeUndefined();
      threaded.dispose();
    }),
    { numRuns: 2, seed: 3 },
  );
  expect(nCompared).toBeGreaterThan(40);
});

test.each(ALL_ARCHITECTURES)(
  '%s: every value lies within its bound of float64 on the same inputs',
  async (architecture) => {
    for (const layout of ALL_LAYOUTS.slice(1, 2)) {
      const bytes = fileOfCase({ architecture, layout, format: 'f32', seed: 11 });
      const { tensors, buildGraph } = await describeGguf(await openModelFile(bufferSource('random.gguf', bytes)));
      const graph = buildGraph('f32');
      const executor = await executorOfGraph('naive', graph, tensors);
      const cache = executor.createCache(16);
      const batch = batchOf(cache, [{ sequence: cache.create(), ids: [1, 77, 130, 299, 300, 45, 12] }]);
      const { ops, firstOutside } = boundedRun(executor, await loadWeights(graph, tensors), batch, cache);
      expect(firstOutside).toBeUndefined();
      expect(ops.length).toBeGreaterThan(5);
      for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
      executor.dispose();
    }
  },
);
