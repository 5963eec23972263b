import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  dot64,
  dotBound,
  gamma,
  gamma64,
  maxRow,
  sum64,
  sumRow,
  sumRowBound,
  sumSquaresRow,
  sumSquaresRowBound,
  U,
  U64,
} from '../../src/core/sum.ts';
import { bigOf } from '../support/big_math.ts';
import { F32_EDGES, F32_MAX } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const { fround } = Math;

/** The stated order, written as it is said: lanes as lists. */
function laneSum(x: readonly number[]): number {
  const lane = (j: number): number => x.filter((_, i) => i % 4 === j).reduce((acc, v) => fround(acc + v), 0);
  return fround(fround(lane(0) + lane(2)) + fround(lane(1) + lane(3)));
}

/** Mostly numbers whose sums round; specials are rare, since one NaN or infinity hides the order of all others. */
const f32 = fc.oneof(
  { weight: 20, arbitrary: fc.float({ min: -8, max: 8, noNaN: true }) },
  { weight: 20, arbitrary: fc.integer({ min: -(2 ** 24), max: 2 ** 24 }).map((n) => fround(n / 1000)) },
  { weight: 2, arbitrary: fc.constantFrom(...F32_EDGES) },
  { weight: 1, arbitrary: fc.constantFrom(Infinity, -Infinity, NaN) },
);
/** Lengths 0..9 are met often (lane tails), longer ones sometimes. */
const rows = fc.oneof(fc.array(f32, { maxLength: 9 }), fc.array(f32, { minLength: 10, maxLength: 70 }));
const finiteRows = fc.array(
  fc.oneof(
    fc.constantFrom(0, -0, 2 ** -149, -(2 ** -140), 1, -1, 2 ** 24),
    fc.float({ min: -1e6, max: 1e6, noNaN: true }),
  ),
  {
    maxLength: 70,
  },
);

type RowSum = (x: Float32Array, from: number, n: number) => number;

/** Same bits as `definition`, with canaries around the row. */
const followsOrder = (sum: RowSum, definition: (x: readonly number[]) => number) =>
  fc.property(rows, fc.nat(3), (row, skew) => {
    const x = Float32Array.from([...Array(skew).fill(1e9), ...row, 1e9, 1e9, 1e9]);
    return Object.is(sum(x, skew, row.length), definition(row));
  });

const squares = (x: readonly number[]): number => laneSum(x.map((v) => fround(v * v)));

describe('sums in the stated order', () => {
  test('sumRow and sumSquaresRow have its bits', () => {
    fc.assert(followsOrder(sumRow, laneSum), { numRuns: 2000 });
    fc.assert(followsOrder(sumSquaresRow, squares), { numRuns: 2000 });
  });

  test('a plain loop, other lanes, and squares that are not rounded are caught', () => {
    const plain: RowSum = (x, from, n) => x.subarray(from, from + n).reduce((acc, v) => fround(acc + v), 0);
    const adjacent: RowSum = (x, from, n) => {
      const l = [0, 0, 0, 0];
      for (let i = 0; i < n; i++) l[i % 4] = fround(l[i % 4]! + x[from + i]!);
      return fround(fround(l[0]! + l[1]!) + fround(l[2]! + l[3]!));
    };
    const tailInFirstLane: RowSum = (x, from, n) => {
      const l = [0, 0, 0, 0];
      for (let i = 0; i < n; i++) {
        const lane = i < (n & ~3) ? i % 4 : 0;
        l[lane] = fround(l[lane]! + x[from + i]!);
      }
      return fround(fround(l[0]! + l[2]!) + fround(l[1]! + l[3]!));
    };
    const unrounded: RowSum = (x, from, n) => {
      const l = [0, 0, 0, 0];
      for (let i = 0; i < n; i++) l[i % 4] = fround(l[i % 4]! + x[from + i]! ** 2);
      return fround(fround(l[0]! + l[2]!) + fround(l[1]! + l[3]!));
    };
    for (const mutant of [plain, adjacent, tailInFirstLane]) {
      expect(fc.check(followsOrder(mutant, laneSum), SEARCH).failed).toBe(true);
    }
    expect(fc.check(followsOrder(unrounded, squares), SEARCH).failed).toBe(true);
  });

  test('zeros appended, of either sign, change nothing', () => {
    fc.assert(
      fc.property(rows, fc.array(fc.constantFrom(0, -0), { maxLength: 9 }), (row, zeros) => {
        const x = Float32Array.from([...row, ...zeros]);
        return (
          Object.is(sumRow(x, 0, x.length), sumRow(x, 0, row.length)) &&
          Object.is(sumSquaresRow(x, 0, x.length), sumSquaresRow(x, 0, row.length))
        );
      }),
    );
    expect(sumRow(new Float32Array(0), 0, 0)).toBe(0);
    expect(sumRow(Float32Array.of(-0, -0), 0, 2)).toBe(0);
  });

  test('both lie within their bounds of the f64 sums', () => {
    fc.assert(
      fc.property(finiteRows, (row) => {
        const x = Float32Array.from(row);
        const squared = Float64Array.from(x, (v) => v * v); // exact
        const okSum =
          Math.abs(sumRow(x, 0, x.length) - sum64(x, 0, x.length)) <=
          sumRowBound(x.length, sum64(x.map(Math.abs), 0, x.length));
        const exact = sum64(squared, 0, x.length);
        const okSquares = Math.abs(sumSquaresRow(x, 0, x.length) - exact) <= sumSquaresRowBound(x.length, exact);
        return okSum && okSquares;
      }),
    );
  });

  test('maxRow: NaN wins, +0 is above -0, empty is -Infinity', () => {
    expect(maxRow([1, NaN, 3], 0, 3)).toBe(NaN);
    expect(maxRow([-0, 0, -0], 0, 3)).toBe(0);
    expect(maxRow([-0, -0], 0, 2)).toBe(-0);
    expect(maxRow([5, 1, 2, 9], 1, 2)).toBe(2);
    expect(maxRow([5], 0, 0)).toBe(-Infinity);
  });
});

/** Values whose products and sums cancel badly, exactly representable in the reference's fixed point. */
const wide = fc
  .tuple(fc.double({ min: 1, max: 2, noNaN: true }), fc.integer({ min: -60, max: 60 }), fc.boolean())
  .map(([m, e, negative]) => (negative ? -m : m) * 2 ** e);

/** Rows with every element's negative among them, so that the sum is far smaller than its terms. */
const cancelling = fc
  .array(wide, { minLength: 1, maxLength: 20 })
  .chain((xs) =>
    fc
      .tuple(fc.shuffledSubarray([...xs, ...xs.map((x) => -x)], { minLength: 2 * xs.length }), wide)
      .map(([row, last]) => [...row, last]),
  );

const UNIT = bigOf(2 ** -200);
const exactSum = (x: readonly number[]): bigint => x.reduce((acc, v) => acc + bigOf(v), 0n);
/** Products of two counts of 2^-400 are counts of 2^-800. */
const exactDot = (a: readonly number[], b: readonly number[]): bigint =>
  a.reduce((acc, v, i) => acc + bigOf(v) * bigOf(b[i]!), 0n) / bigOf(1);
const toNumber = (count: bigint): number => Number(count / UNIT) * 2 ** -200;
const distance = (got: number, exact: bigint): number =>
  toNumber(bigOf(got) > exact ? bigOf(got) - exact : exact - bigOf(got));

type Sum64 = (x: ArrayLike<number>, from: number, n: number) => number;
type Dot64 = (a: ArrayLike<number>, aFrom: number, b: ArrayLike<number>, bFrom: number, n: number) => number;

const sumWithinBound = (sum: Sum64) =>
  fc.property(cancelling, (row) => {
    const exact = exactSum(row);
    const sumAbs = toNumber(exactSum(row.map(Math.abs)));
    const bound = U64 * Math.abs(toNumber(exact)) + gamma64(row.length) ** 2 * sumAbs;
    return distance(sum([7, ...row, 7], 1, row.length), exact) <= bound;
  });

const dotWithinBound = (dot: Dot64) =>
  fc.property(cancelling, fc.array(wide, { minLength: 41, maxLength: 41 }), (a, scales) => {
    const b = a.map((_, i) => scales[i]!);
    const exact = exactDot(a, b);
    const sumAbs = toNumber(exactDot(a.map(Math.abs), b.map(Math.abs)));
    const bound = U64 * Math.abs(toNumber(exact)) + gamma64(a.length) ** 2 * sumAbs;
    return distance(dot([7, ...a, 7], 1, [7, 7, ...b], 2, a.length), exact) <= bound;
  });

describe('compensated f64 sums', () => {
  test('sum64 and dot64 lie within their bounds of the exact sums', () => {
    fc.assert(sumWithinBound(sum64), { numRuns: 500 });
    fc.assert(dotWithinBound(dot64), { numRuns: 500 });
    expect(sum64([1, 1e100, 1, -1e100], 0, 4)).toBe(2);
    expect(dot64([1 + 2 ** -30, 1], 0, [1 - 2 ** -30, -1], 0, 2)).toBe(-(2 ** -60));
  });

  test('plain sums are caught', () => {
    const plainSum: Sum64 = (x, from, n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += x[from + i]!;
      return sum;
    };
    const plainDot: Dot64 = (a, aFrom, b, bFrom, n) => {
      let sum = 0;
      for (let i = 0; i < n; i++) sum += a[aFrom + i]! * b[bFrom + i]!;
      return sum;
    };
    // Products rounded, sum compensated: half of the work of dot64.
    const halfDot: Dot64 = (a, aFrom, b, bFrom, n) =>
      sum64(
        Array.from({ length: n }, (_, i) => a[aFrom + i]! * b[bFrom + i]!),
        0,
        n,
      );
    expect(fc.check(sumWithinBound(plainSum), SEARCH).failed).toBe(true);
    expect(fc.check(dotWithinBound(plainDot), SEARCH).failed).toBe(true);
    expect(fc.check(dotWithinBound(halfDot), SEARCH).failed).toBe(true);
  });

  test('what is not finite comes out as the plain sum has it', () => {
    expect(sum64([1, Infinity, 1], 0, 3)).toBe(Infinity);
    expect(sum64([Infinity, -Infinity], 0, 2)).toBe(NaN);
    expect(sum64([1, NaN], 0, 2)).toBe(NaN);
    expect(dot64([1, -Infinity], 0, [1, 2], 0, 2)).toBe(-Infinity);
    expect(dot64([0, 1], 0, [Infinity, 1], 0, 2)).toBe(NaN);
    expect(dot64([1e300, 2], 0, [1e-300, 3], 0, 2)).toBe(7); // 1e300 cannot be split
    expect([sum64([], 0, 0), dot64([], 0, [], 0, 0)]).toEqual([0, 0]);
  });
});

describe('bounds', () => {
  test('gamma(n) = n U / (1 - n U), Infinity where it says nothing', () => {
    expect(gamma(0)).toBe(0);
    expect(gamma(1)).toBe(U / (1 - U));
    expect([gamma(2 ** 24), gamma(2 ** 30), gamma64(2 ** 53)]).toEqual([Infinity, Infinity, Infinity]);
  });

  test('an f32 dot product in index order keeps within dotBound, subnormal products included', () => {
    const factor = fc.oneof(
      fc.float({ min: -100, max: 100, noNaN: true }),
      fc.constantFrom(1e-20, -3e-23, 2 ** -75, 1, F32_MAX / 2 ** 120),
    );
    const within = (multiply: (a: number, b: number) => number) =>
      fc.property(fc.array(fc.tuple(factor, factor), { maxLength: 60 }), (pairs) => {
        const a = Float32Array.from(pairs, (p) => p[0]);
        const b = Float32Array.from(pairs, (p) => p[1]);
        let acc = 0;
        for (let i = 0; i < a.length; i++) acc = fround(acc + multiply(a[i]!, b[i]!));
        const bound = dotBound(a.length, dot64(a.map(Math.abs), 0, b.map(Math.abs), 0, a.length));
        return Math.abs(acc - dot64(a, 0, b, 0, a.length)) <= bound;
      });
    fc.assert(
      within((a, b) => fround(a * b)),
      { numRuns: 1000 },
    );
    // A product cut to 16 bits goes beyond it.
    expect(
      fc.check(
        within((a, b) => Math.round(fround(a * b) * 2 ** 8) / 2 ** 8),
        SEARCH,
      ).failed,
    ).toBe(true);
  });
});
