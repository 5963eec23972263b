import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { exp, log } from '../../src/core/math.ts';
import { gamma64, sum64, U64 } from '../../src/core/sum.ts';
import { type Candidates, minP, topK, topP, typicalP } from '../../src/sample/filters.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { candidateSets, candidates, shares } from './candidate_sets.ts';

interface Candidate {
  readonly id: number;
  readonly logit: number;
  /** Its probability times that of the likeliest. */
  readonly weight: number;
}

function listOf({ ids, logits }: Candidates): Candidate[] {
  const max = Math.max(...logits);
  return Array.from(ids, (id, i) => ({ id, logit: logits[i]!, weight: exp(logits[i]! - max) }));
}

const byFallingLogit = (a: Candidate, b: Candidate): number =>
  a.logit === b.logit ? a.id - b.id : a.logit < b.logit ? 1 : -1;
const massOf = (list: readonly Candidate[]): number =>
  sum64(
    list.map((c) => c.weight),
    0,
    list.length,
  );

type Filter = (c: Candidates, p: number) => Candidates;
/** What a filter must leave: some of the list, as ids by rising id. */
type Definition = (list: Candidate[], p: number) => number[];

/** The result has these ids, by rising id, each with its own logit. */
function isExactly(result: Candidates, from: Candidates, ids: readonly number[]): boolean {
  const rising = [...ids].sort((a, b) => a - b);
  const logitOf = new Map(listOf(from).map((c) => [c.id, c.logit]));
  return (
    result.ids.length === rising.length &&
    result.logits.length === rising.length &&
    rising.every((id, i) => result.ids[i] === id && Object.is(result.logits[i], logitOf.get(id)))
  );
}

const follows = (filter: Filter, definition: Definition, parameter: fc.Arbitrary<number>) =>
  fc.property(candidateSets, parameter, (c, p) => isExactly(filter(c, p), c, definition(listOf(c), p)));

const RUNS = { numRuns: 2000 };
const isCaught = <T>(property: fc.IProperty<T>): boolean => fc.check(property, SEARCH).failed;
const select = ({ ids, logits }: Candidates, isKept: (i: number) => boolean): Candidates => ({
  ids: ids.filter((_, i) => isKept(i)),
  logits: logits.filter((_, i) => isKept(i)),
});
const idsOf = (c: Candidates): number[] => [...c.ids];
const ofProbs = (...probs: number[]): Candidates => candidates(probs.map(Math.log));

describe('top-k', () => {
  const sizes = fc.nat(45);
  const definition: Definition = (list, k) =>
    list
      .sort(byFallingLogit)
      .slice(0, k === 0 ? list.length : k)
      .map((c) => c.id);

  test('is the head of the sorted list', () => fc.assert(follows(topK, definition, sizes), RUNS));

  test('one too many, higher ids first among ties, and 0 as none are caught', () => {
    const oneMore: Filter = (c, k) => topK(c, k === 0 ? 0 : k + 1);
    const higherIds: Filter = (c, k) => {
      const list = listOf(c).sort((a, b) => (a.logit === b.logit ? b.id - a.id : b.logit - a.logit));
      const kept = new Set(list.slice(0, k === 0 ? list.length : k).map((x) => x.id));
      return select(c, (i) => kept.has(c.ids[i]!));
    };
    const zeroIsNone: Filter = (c, k) => (k === 0 ? select(c, () => false) : topK(c, k));
    for (const mutant of [oneMore, higherIds, zeroIsNone]) {
      expect(isCaught(follows(mutant, definition, sizes))).toBe(true);
    }
  });
});

describe('top-p', () => {
  /** The fewest first of the sorted list that reach p. Where rounding leaves open which, both are right. */
  const isNucleus = (filter: Filter) =>
    fc.property(candidateSets, shares, (c, p) => {
      const result = filter(c, p);
      const nKept = result.ids.length;
      if (nKept === 0) return false;
      const list = listOf(c).sort(byFallingLogit);
      const isHead = isExactly(
        result,
        c,
        list.slice(0, nKept).map((x) => x.id),
      );
      // Both sides of each comparison are sums of up to n positive terms, and a product: (n + 1) roundings a side.
      const slack = 2 * gamma64(list.length + 1) * massOf(list);
      const enough = p * massOf(list);
      const reaches = p === 1 ? nKept === list.length : massOf(list.slice(0, nKept)) >= enough - slack;
      const isFewest = p === 1 || nKept === 1 || massOf(list.slice(0, nKept - 1)) <= enough + slack;
      return isHead && reaches && isFewest;
    });

  test('is the shortest head of the sorted list with that mass', () => fc.assert(isNucleus(topP), RUNS));

  test('one short, one too many, an unsorted walk, and a walk from below are caught', () => {
    const walk = (c: Candidates, order: Candidate[], p: number, extra: number): Candidates => {
      const total = massOf(order);
      let n = 1;
      while (n < order.length && massOf(order.slice(0, n)) < p * total) n++;
      const kept = new Set(order.slice(0, Math.max(1, n + extra)).map((x) => x.id));
      return select(c, (i) => kept.has(c.ids[i]!));
    };
    const oneShort: Filter = (c, p) => walk(c, listOf(c).sort(byFallingLogit), p, -1);
    const oneMore: Filter = (c, p) => walk(c, listOf(c).sort(byFallingLogit), p, 1);
    const unsorted: Filter = (c, p) => walk(c, listOf(c), p, 0);
    const fromBelow: Filter = (c, p) => walk(c, listOf(c).sort(byFallingLogit).reverse(), p, 0);
    const right: Filter = (c, p) => (p === 1 ? c : walk(c, listOf(c).sort(byFallingLogit), p, 0));
    for (const mutant of [oneShort, oneMore, unsorted, fromBelow]) expect(isCaught(isNucleus(mutant))).toBe(true);
    fc.assert(isNucleus(right), RUNS);
  });

  test('of 2^m equally likely tokens, p = j / 2^m keeps the j lowest ids: all sums are exact', () => {
    for (const m of [0, 1, 3, 6]) {
      for (let j = 1; j <= 2 ** m; j++) {
        const c = candidates(new Array<number>(2 ** m).fill(-7.25));
        expect(idsOf(topP(c, j / 2 ** m))).toEqual(Array.from({ length: j }, (_, id) => id));
      }
    }
  });

  test('keeps the likeliest however small p is', () => {
    expect(idsOf(topP(ofProbs(0.2, 0.5, 0.3), 5e-324))).toEqual([1]);
  });
});

describe('min-p', () => {
  /** By probabilities. Where rounding of exp and log leaves it open, both are right. */
  const isLikelyEnough = (filter: Filter) =>
    fc.property(candidateSets, fc.oneof(fc.constant(0), shares), (c, p) => {
      const result = filter(c, p);
      const kept = new Set(result.ids);
      const max = Math.max(...c.logits);
      return (
        isExactly(result, c, [...kept]) &&
        listOf(c).every(({ id, logit, weight }) => {
          // The difference and log p round by u of themselves; exp and log are within an ulp, 2 u; last, subnormals.
          const relative = (max - logit + 3 * Math.abs(Math.log(p)) + 4) * U64;
          const slack = (weight === 0 || p === 0 ? 0 : weight * relative) + 2 ** -1073;
          return kept.has(id) ? weight >= p - slack : p > 0 && weight <= p + slack;
        })
      );
    });

  test('keeps what is at least p times as likely as the likeliest', () => fc.assert(isLikelyEnough(minP), RUNS));

  test('p as a probability of its own, what is below it, and all are caught', () => {
    const absolute: Filter = (c, p) => {
      const list = listOf(c);
      const total = massOf(list);
      return select(c, (i) => list[i]!.weight / total >= p);
    };
    const inverted: Filter = (c, p) => select(c, (i) => p === 0 || listOf(c)[i]!.weight <= p);
    const all: Filter = (c) => c;
    for (const mutant of [absolute, inverted, all]) expect(isCaught(isLikelyEnough(mutant))).toBe(true);
  });

  test('p = 1 keeps all of the likeliest, and ties at the threshold stay', () => {
    expect(idsOf(minP(candidates([1, 3, 3, 2, 3]), 1))).toEqual([1, 2, 4]);
    expect(idsOf(minP(candidates([0, log(0.25), log(0.25), -1.4]), 0.25))).toEqual([0, 1, 2]);
  });
});

describe('typical-p', () => {
  /** The stated formulas, then a plain sort and a plain walk. */
  const typical =
    (
      distance: (surprise: number, entropy: number) => number,
      reaches: (mass: number, enough: number) => boolean,
    ): Definition =>
    (list, p) => {
      if (p === 1) return list.map((c) => c.id);
      const max = Math.max(...list.map((c) => c.logit));
      const total = massOf(list);
      const surprise = (c: Candidate): number => log(total) - (c.logit - max);
      const terms = list.map((c) => (c.weight === 0 ? 0 : c.weight * surprise(c)));
      const entropy = sum64(terms, 0, terms.length) / total;
      const order = list
        .map((c) => ({ ...c, key: distance(surprise(c), entropy) }))
        .sort((a, b) => (a.key === b.key ? a.id - b.id : a.key < b.key ? -1 : 1));
      const kept: number[] = [];
      let mass = 0;
      for (const c of order) {
        kept.push(c.id);
        mass += c.weight;
        if (reaches(mass, p * total)) break;
      }
      return kept;
    };
  const reached = (mass: number, enough: number): boolean => mass >= enough;
  const nearest = (surprise: number, entropy: number): number => Math.abs(surprise - entropy);

  test('is the walk from the expected surprise outwards', () => {
    fc.assert(follows(typicalP, typical(nearest, reached), shares), RUNS);
  });

  test('the likeliest first, the farthest first, one side alone, and one short are caught', () => {
    const mutants = [
      typical((surprise) => surprise, reached),
      typical((surprise, entropy) => -Math.abs(surprise - entropy), reached),
      typical((surprise, entropy) => (surprise < entropy ? Infinity : surprise - entropy), reached),
      typical(nearest, (mass, enough) => mass > enough),
    ];
    for (const mutant of mutants) expect(isCaught(follows(typicalP, mutant, shares))).toBe(true);
  });

  test('drops the likeliest token when it says too little', () => {
    // H = 1.50; surprises are 0.92 (0.58 from H) and, four times, 1.90 (0.39 from H).
    expect(idsOf(typicalP(ofProbs(0.4, 0.15, 0.15, 0.15, 0.15), 0.5))).toEqual([1, 2, 3, 4]);
    expect(idsOf(typicalP(ofProbs(0.4, 0.15, 0.15, 0.15, 0.15), 0.7))).toEqual([0, 1, 2, 3, 4]);
  });
});

describe('every filter', () => {
  const FILTERS: [string, Filter, neutral: number][] = [
    ['topK', topK, 0],
    ['topP', topP, 1],
    ['minP', minP, 0],
    ['typicalP', typicalP, 1],
  ];

  test.each(FILTERS)('%s: at its neutral value gives back what it was given', (_, filter, neutral) => {
    fc.assert(fc.property(candidateSets, (c) => filter(c, neutral) === c));
  });

  test.each(FILTERS)('%s: keeps at least one and changes no input', (_, filter, neutral) => {
    const parameter = neutral === 0 && filter === topK ? fc.integer({ min: 1, max: 45 }) : shares;
    fc.assert(
      fc.property(candidateSets, parameter, (c, p) => {
        const ids = c.ids.slice();
        const logits = c.logits.slice();
        const nKept = filter(c, p).ids.length;
        return nKept >= 1 && c.ids.every((id, i) => id === ids[i]) && c.logits.every((x, i) => Object.is(x, logits[i]));
      }),
    );
  });
});
