import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { createRng } from '../../src/core/rng.ts';
import { maskLogits, type TokenMask } from '../../src/sample/logits.ts';
import type { SamplingOptions } from '../../src/sample/options.ts';
import { sampleToken } from '../../src/sample/sampler.ts';
import { filterOptions, logitLists, NEUTRAL } from './candidate_sets.ts';

/** Bits beyond the vocabulary, and words that are missing, are part of the case. */
function maskOf(allowed: readonly boolean[]): TokenMask {
  const bits = new Uint32Array(Math.ceil(allowed.length / 32));
  allowed.forEach((isAllowed, id) => {
    if (isAllowed) bits[id >> 5]! |= 1 << (id & 31);
  });
  return { bits, why: 'the grammar' };
}

const allowedLists = fc.oneof(
  fc.array(fc.boolean(), { maxLength: 70 }),
  fc.integer({ min: 1, max: 70 }).map((n) => new Array<boolean>(n).fill(true)),
  fc.nat(69).map((id) => Array.from({ length: id + 1 }, (_, i) => i === id)),
);

type Sample = (logits: Float64Array, options: SamplingOptions, mask: TokenMask) => number;
const masked: Sample = (logits, options, mask) => sampleToken(logits, [], options, createRng(5), null, mask).id;

/** The same token as when all others are banned by a bias. */
const actsAsBan = (sample: Sample) =>
  fc.property(
    logitLists,
    filterOptions,
    fc.constantFrom(0, 0.7, 1, 3),
    allowedLists,
    (list, filters, temperature, allowed) => {
      const logits = Float64Array.from(list);
      const isAllowed = list.map((_, id) => allowed[id] === true);
      fc.pre(isAllowed.includes(true));
      const options = { ...NEUTRAL, ...filters, temperature };
      const banned = isAllowed.flatMap((may, id) => (may ? [] : [[id, -Infinity] as const]));
      const expected = sampleToken(logits, [], { ...options, logitBias: new Map(banned) }, createRng(5), null).id;
      return sample(logits, options, maskOf(allowed)) === expected;
    },
  );

describe('a mask', () => {
  test('acts as a ban of all other tokens, greedy or not', () =>
    fc.assert(actsAsBan(masked), { seed: 1, numRuns: 1000 }));

  test('and one that is used after the choice, or shifted, is caught', () => {
    const after: Sample = (logits, options, mask) => {
      const { id } = sampleToken(logits, [], options, createRng(5), null);
      const isAllowed = ((mask.bits[id >> 5]! >>> (id & 31)) & 1) === 1;
      return isAllowed ? id : maskLogits(logits, mask).findIndex((x) => x !== -Infinity);
    };
    const shifted: Sample = (logits, options, { bits, why }) => {
      const next = { bits: bits.map((word) => word << 1), why };
      try {
        return masked(logits, options, next);
      } catch {
        return -1;
      }
    };
    for (const mutant of [after, shifted]) {
      expect(fc.check(actsAsBan(mutant), { seed: 1, numRuns: 1000, endOnFailure: true }).failed).toBe(true);
    }
  });

  test('that allows everything changes no bit', () => {
    fc.assert(
      fc.property(logitLists, (list) => {
        const all = maskLogits(Float64Array.from(list), maskOf(list.map(() => true)));
        expect([...all]).toEqual(list);
      }),
    );
  });

  test('leaves log-probabilities those of the model', () => {
    const logits = Float64Array.of(1, 2, 3);
    const plain = sampleToken(logits, [], { ...NEUTRAL, logitBias: new Map([[0, 100]]) }, createRng(1), 3);
    const one = sampleToken(logits, [], NEUTRAL, createRng(1), 3, maskOf([true]));
    expect(one).toEqual(plain);
  });

  test('acts after bias and penalties', () => {
    const options = { ...NEUTRAL, temperature: 0, logitBias: new Map([[1, 5]]) };
    expect(sampleToken(Float64Array.of(1, 0, 9), [], options, createRng(1), null, maskOf([true, true, false])).id).toBe(
      1,
    );
  });

  test('that allows nothing, or only what is banned, is refused', () => {
    const logits = Float64Array.of(1, 2, 3);
    const sample = (mask: TokenMask, bans: readonly number[]): number => {
      const logitBias = new Map(bans.map((id) => [id, -Infinity]));
      return sampleToken(logits, [], { ...NEUTRAL, logitBias }, createRng(1), null, mask).id;
    };
    expect(() => sample(maskOf([false, false, false, true]), [])).toThrow(ConfigError);
    expect(() => sample(maskOf([]), [])).toThrow('the grammar allows no token of the vocabulary here');
    expect(() => sample(maskOf([true, true]), [0, 1])).toThrow(
      'logit-bias bans all 2 tokens that the grammar allows here',
    );
  });
});
