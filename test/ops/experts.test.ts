import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES } from '../../src/core/dtype.ts';
import { ShapeError } from '../../src/core/errors.ts';
import { tensor, type Weight } from '../../src/core/tensor.ts';
import { expertWeightsBounds } from '../../src/exec/expert_bounds.ts';
import { softmaxBounds } from '../../src/exec/row_bounds.ts';
import { chooseExperts, type ExpertGroups } from '../../src/ops/choose_experts.ts';
import { expertLinear } from '../../src/ops/expert_linear.ts';
import { expertWeights } from '../../src/ops/expert_weights.ts';
import { linear } from '../../src/ops/linear.ts';
import { asHeads, softmaxRows, softmaxRows64 } from '../../src/ops/softmax_rows.ts';
import { firstBitDifference } from '../support/bits.ts';
import { type FloatSource, floatSource, hardFloats } from '../support/hard_floats.ts';
import { weightBytes } from '../support/weight_cases.ts';

/** Scores that tie more often than not, NaN and both zeros among them. */
const SCORES = [0, -0, 1, 1, 2, -1, NaN, Infinity, -Infinity, 2 ** -149];
const scoreRows = (nExperts: number) =>
  fc.oneof(
    fc.array(fc.constantFrom(...SCORES), { minLength: nExperts, maxLength: nExperts }),
    floatSource.map((source) => Array.from(hardFloats(source, nExperts))),
  );

/** As a person would do it: sort by falling score, NaN in front, and where two are equal by number. */
function sorted(row: readonly number[], experts: readonly number[]): number[] {
  const rank = (v: number): number => (Number.isNaN(v) ? Infinity : v === Infinity ? Number.MAX_VALUE : v);
  return experts.toSorted((a, b) => (rank(row[b]!) === rank(row[a]!) ? a - b : rank(row[b]!) > rank(row[a]!) ? 1 : -1));
}

function plainChoice(row: readonly number[], nChosen: number, groups?: ExpertGroups): number[] {
  const all = row.map((_, e) => e);
  if (groups === undefined) return sorted(row, all).slice(0, nChosen);
  const size = row.length / groups.count;
  const members = Array.from({ length: groups.count }, (_, g) => all.slice(g * size, (g + 1) * size));
  const sums = members.map((own) =>
    sorted(row, own)
      .slice(0, groups.scoredBy)
      .reduce((sum, e) => sum + row[e]!, 0),
  );
  const best = sorted(sums, all.slice(0, groups.count)).slice(0, groups.chosen);
  return sorted(
    row,
    best.flatMap((g) => members[g]!).toSorted((a, b) => a - b),
  ).slice(0, nChosen);
}

describe('choose_experts', () => {
  const cases = fc.integer({ min: 1, max: 12 }).chain((nExperts) =>
    fc.record({
      rows: fc.array(scoreRows(nExperts), { minLength: 1, maxLength: 3 }),
      nChosen: fc.integer({ min: 1, max: nExperts }),
      cut: fc.nat(),
    }),
  );
  const asSorted = (choose: typeof chooseExperts) =>
    fc.property(cases, ({ rows, nChosen, cut }) => {
      const nExperts = rows[0]!.length;
      const counts = Array.from({ length: nExperts }, (_, i) => i + 1).filter((n) => nExperts % n === 0);
      const count = counts[cut % counts.length]!;
      const size = nExperts / count;
      const chosen = Math.min(count, Math.ceil(nChosen / size) + (cut % 2));
      for (const groups of [undefined, { count, chosen, scoredBy: 1 + (cut % size) }]) {
        const got = choose(tensor([rows.length, nExperts], Float32Array.from(rows.flat())), nChosen, groups);
        expect(got.shape).toEqual([rows.length, nChosen]);
        const asF32 = rows.map((row) => Array.from(Float32Array.from(row)));
        expect(Array.from(got.data)).toEqual(asF32.flatMap((row) => plainChoice(row, nChosen, groups)));
      }
    });

  test('takes the first of a sorted list: ties by the lower number, NaN in front', () => {
    fc.assert(asSorted(chooseExperts), { numRuns: 300, seed: 8 });
  });

  test.each<[string, typeof chooseExperts]>([
    ['ties by the higher number', (s, n, g) => mirrored(s, n, g)],
    [
      'NaN last',
      (s, n, g) => chooseExperts({ ...s, data: s.data.map((v) => (Number.isNaN(v) ? -Infinity : v)) as never }, n, g),
    ],
    ['groups ignored', (s, n) => chooseExperts(s, n)],
    ['groups scored by their best alone', (s, n, g) => chooseExperts(s, n, g && { ...g, scoredBy: 1 })],
  ])('a mutant is caught: %s', (_what, mutant) => {
    expect(fc.check(asSorted(mutant), { numRuns: 300, seed: 8 }).failed).toBe(true);
  });
});

/** Chooses from the row turned around, so that of equal scores the last one comes first. */
const mirrored: typeof chooseExperts = (scores, nChosen, groups) => {
  const n = scores.shape[1]!;
  const turned = scores.data.map((_, i) => scores.data[i - (i % n) + n - 1 - (i % n)]!) as typeof scores.data;
  const { shape, data } = chooseExperts({ ...scores, data: turned }, nChosen, groups);
  return { shape, data: data.map((e) => n - 1 - e) as typeof data };
};

test('normalized weights of a softmax over all experts are the softmax over the chosen ones', () => {
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 9 }), fc.nat(), (seed, nExperts, choice) => {
      const logits = tensor(
        [1, nExperts],
        hardFloats({ seed, kind: 'plain' }, nExperts).map((v) => 6 * v),
      );
      const probs = softmaxRows(logits);
      const experts = chooseExperts(logits, 1 + (choice % nExperts));
      const weights = expertWeights(probs, experts, true, 1);
      const own = tensor(
        experts.shape,
        Float64Array.from(experts.data, (e) => logits.data[e]!),
      );
      const { bound } = expertWeightsBounds(probs, experts, true, 1);
      const ofProbs = softmaxBounds(...asHeads(logits));
      const truth = softmaxRows64(own).data;
      // Each probability is off by at most e of itself, their sum too: w is off by (1 + e) / (1 - e) - 1 more.
      const e = Math.max(...Array.from(experts.data, (i) => ofProbs.bound[i]! / ofProbs.exact[i]!));
      weights.data.forEach((w, j) => {
        expect(Math.abs(w - truth[j]!)).toBeLessThanOrEqual(bound[j]! + truth[j]! * ((1 + e) / (1 - e) - 1));
      });
    }),
    { numRuns: 200, seed: 2 },
  );
});

describe('expert_linear', () => {
  const cases = fc.record({
    source: floatSource,
    dtype: fc.constantFrom(...ALL_DTYPES),
    nRows: fc.integer({ min: 0, max: 5 }),
    nExperts: fc.integer({ min: 1, max: 4 }),
    choice: fc.nat(),
    isShared: fc.boolean(),
    activations: fc.constantFrom('q8' as const, 'f32' as const),
  });
  const stackOf = (source: FloatSource, dtype: Weight['dtype'], nExperts: number): Weight => {
    const nIn = DTYPES[dtype].blockSize === 1 ? 9 : DTYPES[dtype].blockSize;
    const bytes = weightBytes({ values: source }, dtype, nExperts * 3, nIn);
    return { name: 'w', dtype, shape: [nExperts, 3, nIn], bytes };
  };
  /** Slot by slot what linear gives, each row alone. */
  const asLinear = (product: typeof expertLinear) =>
    fc.property(cases, ({ source, dtype, nRows, nExperts, choice, isShared, activations }) => {
      const w = stackOf(source, dtype, nExperts);
      const [, nOut, nIn] = w.shape as [number, number, number];
      const nChosen = 1 + (choice % nExperts);
      const scores = tensor([nRows, nExperts], hardFloats(source, nRows * nExperts, 3));
      const experts = chooseExperts(scores, nChosen);
      const width = isShared ? nIn : nChosen * nIn;
      const x = tensor([nRows, width], hardFloats(source, nRows * width, 4));
      const y = product(x, w, experts, activations);
      expect(y.shape).toEqual([nRows, nChosen * nOut]);
      experts.data.forEach((expert, slot) => {
        const at = isShared ? Math.floor(slot / nChosen) * nIn : slot * nIn;
        const row = tensor([1, nIn], x.data.slice(at, at + nIn));
        const size = w.bytes.length / nExperts;
        const matrix = { ...w, shape: [nOut, nIn], bytes: w.bytes.slice(expert * size, (expert + 1) * size) };
        const expected = linear(row, matrix, activations).data;
        expect(firstBitDifference(y.data.subarray(slot * nOut, (slot + 1) * nOut), expected)).toBe(-1);
      });
    });
  test('is linear, slot by slot, whatever the other rows chose', () =>
    fc.assert(asLinear(expertLinear), { numRuns: 150 }));
  test('a mutant is caught: the expert next to the chosen one', () => {
    const next: typeof expertLinear = (x, w, experts, activations) =>
      expertLinear(x, w, { ...experts, data: experts.data.map((e) => (e + 1) % w.shape[0]!) }, activations);
    expect(fc.check(asLinear(next), { numRuns: 150, seed: 1 }).failed).toBe(true);
  });

  test('what does not fit is a ShapeError', () => {
    const w: Weight = { name: 'w', dtype: 'f32', shape: [2, 3, 4], bytes: new Uint8Array(96) };
    const x = tensor([2, 4], new Float32Array(8));
    const wrong = (call: () => unknown, message: string): void => {
      expect(call).toThrow(ShapeError);
      expect(call).toThrow(message);
    };
    wrong(() => expertLinear(x, w, tensor([2, 1], Float32Array.of(0, 2)), 'f32'), 'slot 1 chose expert 2, there are 2');
    wrong(() => expertLinear(x, w, tensor([2, 1], Float32Array.of(NaN, 0)), 'f32'), 'chose expert NaN');
    wrong(() => expertLinear(x, w, tensor([1, 1], Float32Array.of(0)), 'f32'), 'x: axis 0 (T) is 2, expected 1');
    wrong(
      () => expertLinear(tensor([1, 5], new Float32Array(5)), w, tensor([1, 2], Float32Array.of(0, 1)), 'f32'),
      'x: axis 1 (parts) is 5, expected 8',
    );
    wrong(() => chooseExperts(x, 5), 'cannot choose 5 of 4 experts');
    wrong(() => chooseExperts(x, 0), 'cannot choose 0 of 4 experts');
  });
});
