import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundTiesAway, roundTiesToEven } from '../../src/core/rounding.ts';
import { f64Around } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

/** Ties, their neighbours, the edges of where an f64 can hold a fraction, and the specials. */
const HARD = [
  ...[
    0.5,
    1.5,
    2.5,
    3.5,
    126.5,
    127.5,
    2 ** 23 - 0.5,
    2 ** 31 + 0.5,
    2 ** 51 + 0.5,
    2 ** 52,
    2 ** 53,
    1e300,
    1,
  ].flatMap((x) => f64Around(x, 2)),
  ...[0, 5e-324, 0.3, 0.7, Infinity, NaN],
].flatMap((x) => [x, -x]);

const numbers = fc.oneof(
  fc.constantFrom(...HARD),
  fc.double(),
  fc.integer({ min: -1000, max: 1000 }).map((n) => n / 2),
  fc.float({ min: -200, max: 200 }),
);

/** What "nearest" means, said without the code's tricks: compare |x|'s distances to the integers around it. */
function nearest(x: number, tie: (low: number) => number): number {
  const a = Math.abs(x);
  const low = Math.floor(a);
  if (!Number.isFinite(x) || low === a) return x;
  const above = a - low; // exact
  const integer = above < 0.5 ? low : above > 0.5 ? low + 1 : tie(low);
  return x < 0 ? -integer : integer; // a zero keeps the sign of x
}

const tieToEven = (low: number): number => (low % 2 === 0 ? low : low + 1);
const tieAway = (low: number): number => low + 1;

const agrees = (f: (x: number) => number, tie: (low: number) => number) =>
  fc.property(numbers, (x) => Object.is(f(x), nearest(x, tie)));

describe('rounding to integers', () => {
  test('roundTiesToEven', () => {
    fc.assert(agrees(roundTiesToEven, tieToEven), { numRuns: 5000 });
    expect([0.5, 1.5, 2.5, -0.5, -1.5, -0].map(roundTiesToEven)).toEqual([0, 2, 2, -0, -2, -0]);
  });

  test('roundTiesAway', () => {
    fc.assert(agrees(roundTiesAway, tieAway), { numRuns: 5000 });
    expect([0.5, 1.5, 2.5, -0.5, -2.5, 0.49999999999999994].map(roundTiesAway)).toEqual([1, 2, 3, -1, -3, 0]);
  });

  test('Math.round is neither, and x + 0.5 cut is not ties away: both are caught', () => {
    expect(fc.check(agrees(Math.round, tieToEven), SEARCH).failed).toBe(true);
    expect(fc.check(agrees(Math.round, tieAway), SEARCH).failed).toBe(true);
    expect(
      fc.check(
        agrees((x) => Math.trunc(x + 0.5 * Math.sign(x)), tieAway),
        SEARCH,
      ).failed,
    ).toBe(true);
  });
});
