import * as fc from 'fast-check';
import type { Candidates } from '../../src/sample/filters.ts';
import { DEFAULT_SAMPLING, type SamplingOptions } from '../../src/sample/options.ts';

/** Few distinct values, so that most sets have ties, both zeros among them. */
const tied = fc.constantFrom(-3, -1, -0, 0, 0.5, 2);
const usual = fc.double({ min: -30, max: 30, noNaN: true });
/** Differences that overflow, and weights that underflow to 0 or to subnormals. */
const extreme = fc.constantFrom(-1.7e308, -1e30, -745, -709, 0, 1, 700, 1e30, 1.7e308);

/** Logits of 1 to 40 tokens. */
export const logitLists: fc.Arbitrary<number[]> = fc.oneof(
  fc.array(tied, { minLength: 1, maxLength: 40 }),
  fc.array(usual, { minLength: 1, maxLength: 40 }),
  fc.array(fc.oneof(extreme, usual), { minLength: 1, maxLength: 12 }),
  fc.tuple(fc.integer({ min: 1, max: 40 }), tied).map(([n, x]) => new Array<number>(n).fill(x)),
);

/** Candidates with gaps between their ids. */
export const candidateSets: fc.Arbitrary<Candidates> = logitLists.chain((logits) =>
  fc
    .array(fc.integer({ min: 1, max: 3 }), { minLength: logits.length, maxLength: logits.length })
    .map((gaps) => candidates(logits, gaps)),
);

export function candidates(logits: readonly number[], gaps: readonly number[] = logits.map(() => 1)): Candidates {
  let id = -1;
  return {
    ids: Int32Array.from(gaps, (gap) => {
      id += gap;
      return id;
    }),
    logits: Float64Array.from(logits),
  };
}

/** Shares in (0, 1], small and round ones among them. */
export const shares = fc.oneof(
  fc.constantFrom(5e-324, 1e-9, 0.1, 0.25, 0.3, 0.5, 0.75, 0.9, 1 - 2 ** -53, 1),
  fc.double({ min: 0, max: 1, minExcluded: true, noNaN: true }),
);

/** Every option that changes nothing: the model's own distribution. */
export const NEUTRAL: SamplingOptions = { ...DEFAULT_SAMPLING, topK: 0, topP: 1, minP: 0, temperature: 1 };

/** Filters in any combination. */
export const filterOptions: fc.Arbitrary<SamplingOptions> = fc.record({
  ...Object.fromEntries(Object.entries(NEUTRAL).map(([key, value]) => [key, fc.constant(value)])),
  topK: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 45 })),
  typicalP: fc.oneof(fc.constant(1), shares),
  topP: fc.oneof(fc.constant(1), shares),
  minP: fc.oneof(fc.constant(0), shares),
}) as fc.Arbitrary<SamplingOptions>;
