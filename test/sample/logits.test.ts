import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, KernelError, ShapeError } from '../../src/core/errors.ts';
import { adjustLogits, allowedTokens, checkLogits } from '../../src/sample/logits.ts';
import { DEFAULT_SAMPLING, type SamplingOptions } from '../../src/sample/options.ts';
import { SEARCH } from '../support/mutant_search.ts';

const VOCAB = 6;
const id = fc.nat(VOCAB - 1);
const logit = fc.oneof(fc.constantFrom(-0, 0, 1, -1), fc.double({ min: -50, max: 50, noNaN: true }));
const penalty = fc.constantFrom(-1.5, 0, 0.25, 2);

const cases = fc.record({
  logits: fc.array(logit, { minLength: VOCAB, maxLength: VOCAB }),
  history: fc.array(id, { maxLength: 12 }),
  repeatLastN: fc.constantFrom(0, 1, 3, 11, 12, 13, 64, Infinity),
  repeatPenalty: fc.constantFrom<number[]>(0.5, 1, 1.1, 3),
  frequencyPenalty: penalty,
  presencePenalty: penalty,
  logitBias: fc.array(fc.tuple(id, fc.constantFrom(-Infinity, -2, 0, 7.5))).map((pairs) => new Map(pairs)),
});
type Case = typeof cases extends fc.Arbitrary<infer T> ? T : never;

/** Token by token, as the papers say it. */
function definition(c: Case, seenFrom: number = c.history.length - c.repeatLastN): number[] {
  return c.logits.map((logit, token) => {
    const n = c.history.filter((seen, t) => t >= seenFrom && seen === token).length;
    let x = logit + (c.logitBias.get(token) ?? 0);
    if (n === 0) return x;
    if (x > 0) x /= c.repeatPenalty;
    else x *= c.repeatPenalty;
    return x - (n * c.frequencyPenalty + c.presencePenalty);
  });
}

const run = (c: Case): Float64Array =>
  adjustLogits(Float64Array.from(c.logits), c.history, { ...DEFAULT_SAMPLING, ...c });
const equals = (expected: (c: Case) => ArrayLike<number>) =>
  fc.property(cases, (c) => {
    const got = run(c);
    const want = expected(c);
    return got.every((x, i) => x === want[i]);
  });

const adjust = (logits: number[], history: number[], options: Partial<SamplingOptions>): number[] => [
  ...adjustLogits(Float64Array.from(logits), history, { ...DEFAULT_SAMPLING, ...options }),
];

describe('bias and penalties', () => {
  test('follow their formulas', () => fc.assert(equals(definition), { numRuns: 2000 }));

  test('wrong formulas are caught', () => {
    const mutants: ((c: Case) => number[])[] = [
      (c) => definition({ ...c, logitBias: new Map() }),
      (c) => definition({ ...c, history: [...new Set(c.history)] }), // frequency as presence
      (c) => definition(c, 0), // no window
      (c) => definition(c, c.history.length - c.repeatLastN + 1), // a window too short
      (c) => definition({ ...c, repeatPenalty: 1 / c.repeatPenalty }),
      (c) => definition({ ...c, frequencyPenalty: c.presencePenalty, presencePenalty: c.frequencyPenalty }),
    ];
    for (const mutant of mutants) expect(fc.check(equals(mutant), SEARCH).failed).toBe(true);
  });

  test('a repeated token loses on both sides of zero, by hand', () => {
    expect(adjust([4, -4, 4, 0], [0, 1, 3], { repeatPenalty: 2 })).toEqual([2, -8, 4, 0]);
    expect(adjust([1, 1], [0, 0, 0], { frequencyPenalty: 0.5 })).toEqual([-0.5, 1]);
    expect(adjust([1, 1], [0, 0, 0], { presencePenalty: 0.5 })).toEqual([0.5, 1]);
    expect(adjust([1, 1], [0, 0, 1], { presencePenalty: 0.5, repeatLastN: 1 })).toEqual([1, 0.5]);
    // Bias first: 2 - 3 is negative, so it is multiplied.
    expect(adjust([2], [0], { repeatPenalty: 2, logitBias: new Map([[0, -3]]) })).toEqual([-2]);
  });

  test('neither copy nor change logits when there is nothing to do', () => {
    const logits = Float64Array.of(1, 2);
    expect(adjustLogits(logits, [0, 1], DEFAULT_SAMPLING)).toBe(logits);
    adjustLogits(logits, [0], { ...DEFAULT_SAMPLING, repeatPenalty: 2 });
    expect([...logits]).toEqual([1, 2]);
  });

  test('ids outside the vocabulary are named', () => {
    expect(() => adjust([1, 2], [], { logitBias: new Map([[2, 1]]) })).toThrow(
      new ConfigError('logit-bias names token id 2, the vocabulary is 0..1'),
    );
    for (const seen of [2, -1, 0.5]) {
      expect(() => adjust([1, 2], [seen], { presencePenalty: 1 })).toThrow(ShapeError);
      expect(() => adjust([1, 2], [seen], { presencePenalty: 1 })).toThrow(`token id ${seen} is outside`);
    }
  });

  test('an overflow is refused: it would be a ban that nobody asked for, or no number', () => {
    const overflows: Partial<SamplingOptions>[] = [
      { repeatPenalty: 1e-300 },
      { frequencyPenalty: -1.7e308 },
      { logitBias: new Map([[0, 1.7e308]]) },
      { frequencyPenalty: 1.7e308, presencePenalty: 1.7e308 },
    ];
    for (const options of overflows) {
      expect(() => adjust([1e308, 0], [0, 0], options)).toThrow(ConfigError);
      expect(() => adjust([1e308, 0], [0, 0], options)).toThrow(/token id 0: its logit is -?Infinity/);
    }
  });
});

describe('banned tokens', () => {
  test('are left out, whatever penalties do to them', () => {
    const logitBias = new Map([0, 2].map((token) => [token, -Infinity]));
    const options = { logitBias, repeatPenalty: 1.5, frequencyPenalty: -3 };
    const { ids, logits } = allowedTokens(Float64Array.from(adjust([9, 1, 9, 2], [0, 1], options)));
    expect([...ids]).toEqual([1, 3]);
    expect([...logits]).toEqual([1 / 1.5 + 3, 2]);
  });

  test('may not be all', () => {
    expect(() => allowedTokens(Float64Array.of(-Infinity, -Infinity))).toThrow(
      new ConfigError('logit-bias bans all 2 tokens; leave at least one'),
    );
  });
});

describe('logits that are not finite', () => {
  test('are refused, the first by index and value', () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const List of [Float32Array, Float64Array]) {
        expect(() => checkLogits(List.of(1, 2, bad, NaN))).toThrow(KernelError);
        expect(() => checkLogits(List.of(1, 2, bad, NaN))).toThrow(`token id 2 is ${bad}`);
      }
    }
    expect(() => checkLogits(new Float32Array(0))).toThrow(ShapeError);
    checkLogits(Float64Array.of(-1.7e308, 0, 1.7e308));
  });
});
