import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, KernelError } from '../../src/core/errors.ts';
import { createRng } from '../../src/core/rng.ts';
import { gamma64, U64 } from '../../src/core/sum.ts';
import { type Candidates, minP, topK, topP } from '../../src/sample/filters.ts';
import { adjustLogits, allowedTokens } from '../../src/sample/logits.ts';
import type { SamplingOptions } from '../../src/sample/options.ts';
import { drawIndex, filterCandidates, sampleToken } from '../../src/sample/sampler.ts';
import { softmaxWeights } from '../../src/sample/softmax.ts';
import { binomialBounds } from '../support/binomial.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { candidateSets, candidates, filterOptions, logitLists, NEUTRAL } from './candidate_sets.ts';

const RUNS = { numRuns: 1000 };
const temperatures = fc.oneof(
  fc.constantFrom(5e-324, 1e-6, 0.5, 1, 2, 1e6, 1.7e308),
  fc.double({ min: -14, max: 14, noNaN: true }).map(Math.exp),
);

/** n tokens, each drawn from the same logits. */
function tokens(logits: readonly number[], options: Partial<SamplingOptions>, n: number, seed = 1): number[] {
  const rng = createRng(seed);
  const all = { ...NEUTRAL, ...options };
  return Array.from({ length: n }, () => sampleToken(Float64Array.from(logits), [], all, rng).id);
}

describe('a draw', () => {
  type Draw = (weights: Float64Array, u: number) => number;

  /** Whole weights with a sum of 2^m and u = j / 2^m: no operation rounds, so the answer is exact. */
  const isExact = (draw: Draw) =>
    fc.property(fc.array(fc.nat(9), { minLength: 1, maxLength: 12 }), fc.nat(127), (whole, j) => {
      const rest = 128 - whole.reduce((a, b) => a + b, 0);
      const weights = [...whole, rest];
      const owners = weights.flatMap((w, i) => new Array<number>(w).fill(i));
      return draw(Float64Array.from(weights), j / 128) === owners[j];
    });

  test('takes the token whose stretch of the sum holds u', () => fc.assert(isExact(drawIndex), RUNS));

  test('a weight compared alone, a border given to the token before, and a walk from the end are caught', () => {
    const alone: Draw = (w, u) => w.findIndex((x) => x > 128 * u);
    const borderBefore: Draw = (w, u) => {
      let sum = 0;
      return w.findIndex((x) => {
        sum += x;
        return sum >= 128 * u;
      });
    };
    const fromEnd: Draw = (w, u) => w.length - 1 - drawIndex(w.slice().reverse(), u);
    for (const mutant of [alone, borderBefore, fromEnd]) expect(fc.check(isExact(mutant), SEARCH).failed).toBe(true);
  });

  test('ends for every u below 1, and never at a weight of 0', () => {
    const u = fc.oneof(
      fc.constantFrom(0, 2 ** -53, 0.5, 1 - 2 ** -53),
      fc.nat(2 ** 31 - 1).map((k) => 1 - (k + 1) * 2 ** -53),
    );
    fc.assert(
      fc.property(candidateSets, temperatures, u, ({ logits }, temperature, at) => {
        const weights = softmaxWeights(logits, temperature);
        return weights[drawIndex(weights, at)]! > 0;
      }),
      RUNS,
    );
  });
});

describe('the filters together', () => {
  /** Logits whose softmax has these probabilities. */
  const ofProbs = (...probs: number[]): Candidates => candidates(probs.map(Math.log));
  const left = (c: Candidates, options: Partial<SamplingOptions>): number[] => [
    ...filterCandidates(c, { ...NEUTRAL, ...options }).ids,
  ];

  test('act in the stated order: top-k, typical-p, top-p, min-p, each on what the one before left', () => {
    // After top-k the first has 4/7 and is enough; before it, 0.4 would not be.
    expect(left(ofProbs(0.4, 0.3, 0.2, 0.1), { topK: 2, topP: 0.5 })).toEqual([0]);
    // Typical-p leaves the four of 0.15, of which top-p takes three; the other way round the first would be in.
    expect(left(ofProbs(0.4, 0.15, 0.15, 0.15, 0.15), { typicalP: 0.5, topP: 0.6 })).toEqual([1, 2, 3]);
    // Top-p leaves 0.5, 0.2, 0.16; min-p keeps them. The other way round 0.5 and 0.2 would have 0.81 of the mass.
    expect(left(ofProbs(0.5, 0.2, 0.16, 0.14), { topP: 0.8, minP: 0.3 })).toEqual([0, 1, 2]);
    // Top-k drops the two last; before it typical-p would keep 1 and 2 of the whole list.
    expect(left(ofProbs(0.4, 0.15, 0.15, 0.15, 0.15), { topK: 1, typicalP: 0.2 })).toEqual([0]);
  });

  test('other orders are caught by these cases', () => {
    const reversed = topP(minP(ofProbs(0.5, 0.2, 0.16, 0.14), 0.3), 0.8);
    expect([...reversed.ids]).not.toEqual([0, 1, 2]);
    expect([...topK(topP(ofProbs(0.4, 0.3, 0.2, 0.1), 0.5), 2).ids]).not.toEqual([0]);
  });

  test('leave at least one candidate, and a subset by rising id', () => {
    fc.assert(
      fc.property(candidateSets, filterOptions, (c, options) => {
        const { ids } = filterCandidates(c, options);
        const known = new Set(c.ids);
        return ids.length > 0 && ids.every((id, i) => known.has(id) && (i === 0 || id > ids[i - 1]!));
      }),
      RUNS,
    );
  });
});

describe('colder is more certain', () => {
  type Chain = (c: Candidates, options: SamplingOptions) => Float64Array;
  const chain: Chain = (c, options) => softmaxWeights(filterCandidates(c, options).logits, options.temperature);
  const temperatureFirst: Chain = ({ ids, logits }, options) =>
    softmaxWeights(filterCandidates({ ids, logits: logits.map((x) => x / options.temperature) }, options).logits, 1);
  const inverted: Chain = (c, options) => chain(c, { ...options, temperature: 1 / options.temperature });

  /** Probability of the likeliest token, entropy, and how far rounding may take each from the truth. */
  function certainty(weights: Float64Array): { top: number; topError: number; entropy: number; entropyError: number } {
    const total = weights.reduce((a, b) => a + b, 0);
    const probs = [...weights].map((w) => w / total).filter((p) => p > 0);
    const entropy = probs.reduce((sum, p) => sum - p * Math.log(p), 0);
    // The argument of exp is below 746 where a weight is not 0, and has two roundings; exp, log: 2 u; sum and quotient.
    const relative = (2 * 746 + 2) * U64 + gamma64(weights.length + 1);
    return {
      top: 1 / total,
      topError: relative,
      entropy,
      // d(p log p) = (log p + 1) dp, and the n + 3 roundings of the sum of products.
      entropyError: (relative + gamma64(weights.length + 3)) * (entropy + 1) + weights.length * 2 ** -1020,
    };
  }

  const isMoreCertain = (distribution: Chain, options: fc.Arbitrary<SamplingOptions>, range: fc.Arbitrary<number>) =>
    fc.property(candidateSets, options, range, range, (c, o, a, b) => {
      const cold = certainty(distribution(c, { ...o, temperature: Math.min(a, b) }));
      const hot = certainty(distribution(c, { ...o, temperature: Math.max(a, b) }));
      return (
        cold.top >= hot.top - cold.topError - hot.topError &&
        cold.entropy <= hot.entropy + cold.entropyError + hot.entropyError
      );
    });

  test('for any filters and temperatures', () => {
    fc.assert(isMoreCertain(chain, filterOptions, temperatures), { numRuns: 3000 });
  });

  test('a temperature that multiplies, or that acts before typical-p, is caught', () => {
    const mild = fc.constantFrom(0.25, 0.5, 1, 2, 4);
    expect(fc.check(isMoreCertain(inverted, filterOptions, mild), SEARCH).failed).toBe(true);
    expect(fc.check(isMoreCertain(temperatureFirst, filterOptions, mild), SEARCH).failed).toBe(true);
  });
});

describe('sampleToken', () => {
  const LOGITS = [1.5, -0.5, 2, 0.25, 2, -3];

  /**
   * Six counts and three settings, each count allowed to leave its exact bounds with probability 1e-10: a right sampler fails with
   * one seed in 5e8. The seed is fixed.
   */
  function hasFrequencies(options: Partial<SamplingOptions>, drawn: readonly number[]): boolean {
    const temperature = options.temperature ?? 1;
    const weights = LOGITS.map((x) => Math.exp(x / temperature));
    const total = weights.reduce((a, b) => a + b, 0);
    return weights.every((w, id) => {
      const { low, high } = binomialBounds(drawn.length, w / total, 1e-10);
      const count = drawn.filter((token) => token === id).length;
      return count >= low && count <= high;
    });
  }

  test('draws each token as often as its probability says', () => {
    for (const temperature of [0.5, 1, 3]) {
      expect(hasFrequencies({ temperature }, tokens(LOGITS, { temperature }, 20_000, 7))).toBe(true);
    }
    for (const other of [0.8, 1.25]) {
      expect(hasFrequencies({ temperature: 1 }, tokens(LOGITS, { temperature: other }, 20_000, 7))).toBe(false);
    }
  });

  test('same seed, same tokens; another seed, others; and a saved place goes on', () => {
    const all = tokens(LOGITS, {}, 200, 3);
    expect(tokens(LOGITS, {}, 200, 3)).toEqual(all);
    expect(tokens(LOGITS, {}, 200, 4)).not.toEqual(all);
    const rng = createRng(3, 120);
    const rest = Array.from({ length: 80 }, () => sampleToken(Float64Array.from(LOGITS), [], NEUTRAL, rng).id);
    expect(rest).toEqual(all.slice(120));
  });

  test('filters at neutral values, and ones that happen to keep all, change no token', () => {
    const n = LOGITS.length;
    const all = tokens(LOGITS, {}, 300);
    for (const options of [
      { topK: n },
      { topK: n + 1 },
      { topP: 1 - 2 ** -53 },
      { minP: 1e-300 },
      { typicalP: 1 - 2 ** -53 },
    ]) {
      expect(tokens(LOGITS, options, 300)).toEqual(all);
    }
  });

  test('at temperature 0, and with top-k 1, takes the highest logit, of equal ones the lowest id', () => {
    fc.assert(
      fc.property(logitLists, filterOptions, temperatures, fc.nat(), (logits, o, temperature, seed) => {
        const best = logits.indexOf(Math.max(...logits));
        const greedy = tokens(logits, { ...o, temperature: 0 }, 1, seed)[0];
        const topOne = tokens(logits, { ...o, topK: 1, temperature }, 1, seed)[0];
        return greedy === best && topOne === best;
      }),
      RUNS,
    );
  });

  test('draws one number a token, none at temperature 0, none when it throws', () => {
    const rng = createRng(0);
    const sample = (logits: number[], options: Partial<SamplingOptions>): number =>
      sampleToken(Float32Array.from(logits), [], { ...NEUTRAL, ...options }, rng).id;
    sample([1], {});
    sample([1, 2, 3], { topK: 1 });
    expect(rng.counter).toBe(2);
    sample([1, 2], { temperature: 0 });
    expect(() => sample([1, NaN], {})).toThrow(KernelError);
    expect(() => sample([1], { logitBias: new Map([[0, -Infinity]]) })).toThrow(ConfigError);
    expect(rng.counter).toBe(2);
  });

  test('never gives a banned token, and only logprobs see it', () => {
    const logitBias = new Map([
      [2, -Infinity],
      [4, -Infinity],
    ]);
    expect(tokens(LOGITS, { logitBias, temperature: 1e6 }, 500)).not.toContain(2);
    const { id, logprob, top } = sampleToken(
      Float64Array.from(LOGITS),
      [0, 0],
      { ...NEUTRAL, logitBias, temperature: 0, frequencyPenalty: 9, topK: 1 },
      createRng(0),
      2,
    );
    // 0 is penalized, 2 and 4 banned; the log-probabilities are the model's.
    expect(id).toBe(3);
    expect(top.map((t) => t.id)).toEqual([2, 4]);
    expect(logprob).toBe(
      sampleToken(Float64Array.from(LOGITS), [], { ...NEUTRAL, logitBias: new Map([[3, 99]]) }, createRng(0)).logprob,
    );
  });

  /** Ids of many tokens, with ties and bans, as the list of all allowed tokens and every filter give them. */
  test('chooses as the whole list of tokens does, whatever shortcut it takes', () => {
    const bans = fc.array(fc.nat(11), { maxLength: 11 });
    let shortcuts = 0;
    fc.assert(
      fc.property(
        fc.array(fc.integer({ min: -3, max: 3 }), { minLength: 12, maxLength: 12 }),
        bans,
        fc.nat(13),
        fc.constantFrom(0, 1),
        fc.nat(),
        (list, banned, k, temperature, seed) => {
          const logitBias = new Map(banned.map((id) => [id, -Infinity]));
          const options = { ...NEUTRAL, logitBias, topK: k, temperature };
          const whole = allowedTokens(adjustLogits(Float64Array.from(list), [], options));
          const highest = whole.ids[whole.logits.indexOf(Math.max(...whole.logits))]!;
          const left = filterCandidates(whole, options);
          const drawn = () => left.ids[drawIndex(softmaxWeights(left.logits, 1), createRng(seed).next())]!;
          if (k > 0 && k <= whole.ids.length && banned.length > 0) shortcuts++;
          const { id } = sampleToken(Float64Array.from(list), [], options, createRng(seed), null);
          return id === (temperature === 0 ? highest : drawn());
        },
      ),
      RUNS,
    );
    expect(shortcuts).toBeGreaterThan(100);
  });

  test('f32 logits and the same numbers in f64 give the same token and log-probability; neither is changed', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 }),
        fc.nat(),
        (list, seed) => {
          const narrow = Float32Array.from(list);
          const wide = Float64Array.from(narrow);
          const before = wide.slice();
          const a = sampleToken(narrow, [], { ...NEUTRAL, repeatPenalty: 1.3 }, createRng(seed), 3);
          const b = sampleToken(wide, [], { ...NEUTRAL, repeatPenalty: 1.3 }, createRng(seed), 3);
          expect(a).toEqual(b);
          return wide.every((x, i) => Object.is(x, before[i]) && Object.is(x, narrow[i]));
        },
      ),
    );
  });
});
