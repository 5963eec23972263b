import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { rankingOf, selectTop } from '../../src/sample/ranking.ts';
import { testRandom } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

/** The definition: all indices, sorted. */
const ranked = (keys: readonly number[]): number[] =>
  keys
    .map((key, i) => ({ key, i }))
    .sort((a, b) => (a.key === b.key ? a.i - b.i : a.key < b.key ? 1 : -1))
    .map(({ i }) => i);

const key = fc.oneof(fc.constantFrom(-Infinity, -1, -0, 0, 1, Infinity), fc.double({ noNaN: true }));
const keyLists = fc.oneof(fc.array(key, { maxLength: 20 }), fc.array(fc.nat(5), { minLength: 60, maxLength: 600 }));

type SelectTop = (keys: Float64Array, k: number) => Iterable<number>;
const isHeadOfRanking = (select: SelectTop) =>
  fc.property(keyLists, fc.nat(30), (keys, k) => {
    const head = ranked(keys).slice(0, k);
    const got = [...select(Float64Array.from(keys), k)];
    return got.length === head.length && got.every((index, rank) => index === head[rank]);
  });

describe('ranking', () => {
  test('selectTop is the head of the full sort', () => {
    fc.assert(isHeadOfRanking(selectTop), { numRuns: 1000 });
  });

  test('ties by falling index, and a last element left out, are caught', () => {
    const fallingTies: SelectTop = (keys, k) => {
      const last = keys.length - 1;
      return [...selectTop(keys.slice().reverse(), k)].map((i) => last - i);
    };
    const noLast: SelectTop = (keys, k) => selectTop(keys.subarray(0, -1), k);
    for (const mutant of [fallingTies, noLast]) expect(fc.check(isHeadOfRanking(mutant), SEARCH).failed).toBe(true);
  });

  test('rankingOf gives each rank, asked for in any order', () => {
    fc.assert(
      fc.property(keyLists, fc.infiniteStream(fc.nat()), (keys, stream) => {
        const ranking = rankingOf(Float64Array.from(keys));
        const expected = ranked(keys);
        const asked = keys.map(() => stream.next().value! % keys.length);
        return ranking.size === keys.length && asked.every((rank) => ranking.at(rank) === expected[rank]);
      }),
    );
  });

  test('a whole vocabulary, rising (each key beats all before it), falling and in no order', () => {
    const n = 20_000;
    const random = testRandom(1);
    for (const keyAt of [(i: number) => i, (i: number) => -i, () => Math.floor(random() * 1000)]) {
      const keys = Array.from({ length: n }, (_, i) => keyAt(i));
      const ranking = rankingOf(Float64Array.from(keys));
      expect(Array.from({ length: n }, (_, rank) => ranking.at(rank))).toEqual(ranked(keys));
    }
  });
});
