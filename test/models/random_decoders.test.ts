import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import { loadModel } from '../../src/engine/load_model.ts';
import type { LoadOptions } from '../../src/engine/options.ts';
import { randomGguf } from '../../src/load/random_gguf.ts';
import { ALL_ARCHITECTURES } from '../support/architecture_cases.ts';
import { BUILDS, firstDifference, HOST } from '../support/executors.ts';

/**
 * Law 2 for every decoder of which random models can be written: the naive tier, which runs the graph as the architecture
 * states it, and the kernels, which run it after the passes, give the same bits however a prompt is cut.
 */

const configs = fc.record({
  nLayers: fc.constantFrom(1, 4),
  nKvHeads: fc.integer({ min: 1, max: 2 }),
  group: fc.integer({ min: 1, max: 3 }),
  // Rows of whole blocks of 32, also where nHeads is 3 or 6.
  headDim: fc.constantFrom(32, 64),
  hiddenDim: fc.constantFrom(32, 96),
  tied: fc.boolean(),
  format: fc.constantFrom('f32' as const, 'f16' as const, 'q8_0' as const, 'q4_0' as const),
  activations: fc.constantFrom('q8' as const, 'f32' as const),
  seed: fc.nat(1000),
  nTokens: fc.integer({ min: 1, max: 9 }),
  cut: fc.integer({ min: 1, max: 9 }),
});

describe.each(ALL_ARCHITECTURES)('%s', (architecture) => {
  test('naive and wasm, over random configs', () =>
    fc.assert(
      fc.asyncProperty(configs, async ({ group, nKvHeads, headDim, format, seed, ...rest }) => {
        const nHeads = nKvHeads * group;
        const { nLayers, hiddenDim, tied, activations, nTokens, cut } = rest;
        const sizes = { nLayers, hiddenDim, tied, nHeads, nKvHeads, dim: nHeads * headDim, vocab: 262, maxContext: 64 };
        const model = randomGguf({ architecture, shape: sizes, format, seed });
        const file = Buffer.concat(Array.from(model.chunks(), (chunk) => chunk.slice()));
        const ids = Array.from({ length: nTokens }, (_, t) => (t * 97 + seed) % 262);
        const logits = async (options: LoadOptions): Promise<number[]> => {
          const source = bufferSource('random.gguf', new Uint8Array(file));
          const all = { ...options, activations };
          await using loaded = await loadModel({ kind: 'file', source, folder: undefined }, HOST, all);
          return Array.from((await loaded.logits(ids)).data);
        };
        const naive = await logits({ executor: 'naive' });
        const kernels = BUILDS[seed % BUILDS.length]!;
        expect(firstDifference(await logits({ kernels, prefillChunk: cut }), naive), kernels).toBeUndefined();
      }),
      { numRuns: 7 },
    ));
});
