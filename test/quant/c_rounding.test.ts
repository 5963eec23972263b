import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { roundTiesToEven } from '../../src/core/rounding.ts';
import { nearestCode, nearestInt, truncCode } from '../../src/quant/c_rounding.ts';
import { f32Around } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const { fround } = Math;

describe('nearestInt', () => {
  const inRange = fc.oneof(
    fc.float({ min: -(2 ** 22), max: 2 ** 22 - 1, noNaN: true }),
    fc.integer({ min: -(2 ** 21), max: 2 ** 21 }).map((n) => fround(n + 0.5)),
    fc.constantFrom(0, -0, 0.5, -0.5, 1.5, 2.5, -(2 ** 22), 2 ** 22 - 1, 2 ** 22 - 1.5),
  );
  const isNearest = (f: (x: number) => number) =>
    fc.property(inRange, (x) => Object.is(f(fround(x)), roundTiesToEven(fround(x)) + 0));

  test('rounds ties to even within its range, and never gives -0', () => {
    fc.assert(isNearest(nearestInt), { numRuns: 2000 });
  });

  test('mutant: Math.round is caught', () => {
    expect(fc.check(isNearest(Math.round), SEARCH).failed).toBe(true);
  });

  test('outside of it, the low 23 bits of the f32 sum less 2^22', () => {
    // 2^22 + 1.5 * 2^23 = 2^24: fraction 0. An infinity has fraction 0 as well.
    expect(nearestInt(2 ** 22)).toBe(-(2 ** 22));
    expect(nearestInt(Infinity)).toBe(-(2 ** 22));
    expect(nearestInt(-Infinity)).toBe(-(2 ** 22));
    // -2^22 - 1 + 1.5 * 2^23 = 2^23 - 1, which has the fraction 0x7ffffe.
    expect(nearestInt(-(2 ** 22) - 1)).toBe(0x7ffffe - 2 ** 22);
    expect(nearestInt(NaN)).toBe(0);
    for (const edge of [2 ** 22, -(2 ** 22), 2 ** 31, 2 ** 127]) {
      for (const x of f32Around(edge, 3)) {
        const n = nearestInt(x);
        expect(Number.isInteger(n) && n >= -(2 ** 22) && n < 2 ** 22, `${x}`).toBe(true);
      }
    }
  });
});

test('nearestCode cuts at both ends', () => {
  expect([-9, -8.5, 2.5, 7.5, 99].map((x) => nearestCode(x, -8, 7))).toEqual([-8, -8, 2, 7, 7]);
});

test('truncCode drops the fraction, cuts above, and makes 0 of what is not finite', () => {
  expect([0, 0.99, 7.5, 15.9, 16, 400, NaN, Infinity, -Infinity].map((x) => truncCode(x, 15))).toEqual([
    0, 0, 7, 15, 15, 15, 0, 0, 0,
  ]);
});
