import fc from 'fast-check';
import { expect } from 'vitest';
import { ALL_DTYPES, DTYPES, type DType, isBlockFormat } from '../../src/core/dtype.ts';
import type { Executor } from '../../src/exec/executor.ts';
import type { Activations } from '../../src/ops/linear.ts';
import { takesQ8 } from '../../src/quant/codes.ts';
import { executorOf, F32_TIERS, firstDifference, logitsInChunks, traceOf } from './executors.ts';
import { tinyLlama } from './tiny_llama.ts';

/** A weight format, and a form of activations that it has. */
export type Form = readonly [DType, Activations];

/** Every format with every form of activations that it has. */
export const FORMS: readonly Form[] = ALL_DTYPES.flatMap((dtype): Form[] => {
  return takesQ8(dtype)
    ? [
        [dtype, 'f32'],
        [dtype, 'q8'],
      ]
    : [[dtype, 'f32']];
});

/** Those of small blocks, whose models may be small. */
export const isSmall = ([dtype]: Form): boolean => DTYPES[dtype].blockSize <= 32;

const small = fc.record({
  nKvHeads: fc.integer({ min: 1, max: 3 }),
  group: fc.integer({ min: 1, max: 5 }),
  headDim: fc.constantFrom(2, 6, 8, 16, 20),
  dim: fc.constantFrom(32, 64, 96),
  hiddenDim: fc.constantFrom(32, 96, 160),
  vocab: fc.constantFrom(3, 16, 37, 64),
  ropeLayout: fc.constantFrom('pairs' as const, 'halves' as const),
  partial: fc.boolean(),
  tied: fc.boolean(),
  seed: fc.integer(),
});

/** All rows are whole blocks of 256. */
const wide = fc.record({
  heads: fc.constantFrom([1, 4, 64], [2, 2, 64], [4, 2, 32], [2, 8, 16]),
  dim: fc.constant(256),
  hiddenDim: fc.constantFrom(256, 512),
  vocab: fc.constantFrom(3, 16, 37),
  ropeLayout: fc.constantFrom('pairs' as const, 'halves' as const),
  partial: fc.boolean(),
  tied: fc.boolean(),
  seed: fc.integer(),
});
const wideGeometries = wide.map(({ heads: [nKvHeads, group, headDim], ...rest }) => ({
  ...rest,
  nKvHeads: nKvHeads!,
  group: group!,
  headDim: headDim!,
}));

/** attn_output reads nHeads * headDim, which block formats need to be whole blocks. */
const fitsBlocks = (g: { nKvHeads: number; group: number; headDim: number }): boolean =>
  (g.nKvHeads * g.group * g.headDim) % 32 === 0;

/**
 * Every value of every wasm build has the bits of naive, in models of random geometry, and so have its logits of a run in chunks.
 * Returns how many values were compared; fails by assertion.
 */
export async function compareTiers(
  dtype: DType,
  form: Activations,
  { numRuns, maxTokens }: { readonly numRuns: number; readonly maxTokens: number },
): Promise<number> {
  let compared = 0;
  const tokens = fc.array(fc.nat(), { minLength: 1, maxLength: maxTokens });
  const chunkLengths = fc.array(fc.integer({ min: 1, max: 20 }));
  await fc.assert(
    fc.asyncProperty(isSmall([dtype, form]) ? small : wideGeometries, tokens, chunkLengths, async (g, raw, chunks) => {
      fc.pre(!isBlockFormat(dtype) || fitsBlocks(g));
      const { group, partial, seed, tied, ...rest } = g;
      const config = { ...rest, nHeads: g.nKvHeads * group, ropeDim: partial ? 2 : g.headDim, nLayers: 1 };
      const tiny = tinyLlama({ seed, dtype, tied, config: { ...config, maxContext: Math.max(96, maxTokens) } });
      const ids = raw.map((n) => n % g.vocab);
      const [naive, ...others] = F32_TIERS;
      const definition = await executorOf(naive!, tiny, form);
      const expectedValues = traceOf(definition, ids);
      const logits = [...expectedValues.values()].at(-1)!.data; // the last value of a run, here of all rows
      definition.dispose();
      for (const tier of others) {
        const executor = await executorOf(tier, tiny, form);
        for (const [name, event] of traceOf(executor, ids)) {
          const expected = expectedValues.get(name);
          if (expected === undefined) continue; // a merged value
          compared++;
          expect(firstDifference(event.data, expected.data), `${tier}: ${name}`).toBeUndefined();
        }
        expect(firstDifference(logitsInChunks(executor, ids, chunks), logits), `${tier}: in chunks`).toBeUndefined();
        executor.dispose();
      }
    }),
    { numRuns },
  );
  return compared;
}

/** Any chunking has the bits of one token at a time. */
export function chunksDoNotMatter(executor: Executor, idLists: fc.Arbitrary<number[]>): fc.IProperty<unknown> {
  return fc.property(idLists, fc.array(fc.integer({ min: 1, max: 20 })), (ids, chunks) => {
    const alone = logitsInChunks(
      executor,
      ids,
      ids.map(() => 1),
    );
    return firstDifference(logitsInChunks(executor, ids, chunks), alone) === undefined;
  });
}
