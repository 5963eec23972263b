import { describe, expect, test } from 'vitest';
import { erf, exp, tanh } from '../../src/core/math.ts';
import { erf32, exp32, tanh32 } from '../../src/core/math_f32.ts';
import { F32_EDGES, F32_MAX, F32_MIN, F32_MIN_NORMAL, f32Around, f32Sweep, ulpErrorF32 } from '../support/floats.ts';

/** Odd steps, so that all low bits are met: 430,000 patterns of the whole line, and as many where the function bends. */
const WHOLE_STEP = 10007;
const DENSE_STEP = 1009;

/** e^x rounds to Infinity from here on: ln(F32_MAX + half a unit). */
const EXP_LAST_FINITE = 88.72283172607422;
/** e^x is above half the smallest f32 down to here. */
const EXP_LAST_NONZERO = -103.97207641601562;

/** f32 patterns between two positive numbers, both signs. */
function* dense(low: number, high: number): Generator<number> {
  const value = new Float32Array([low, high]);
  const bits = new Uint32Array(value.buffer);
  const end = bits[1]!;
  for (let b = bits[0]!; b < end; b += DENSE_STEP) {
    bits[0] = b;
    yield value[0]!;
    yield -value[0]!;
  }
}

interface Case {
  readonly name: string;
  readonly f: (x: number) => number;
  readonly reference: (x: number) => number;
  /** The docstring's promise. */
  readonly ulp: number;
  /** Where the result is a finite f32 that the reference can be compared with. */
  readonly domain: (x: number) => boolean;
  readonly bend: readonly [number, number];
  readonly hard: readonly number[];
}

const CASES: readonly Case[] = [
  {
    name: 'exp32',
    f: exp32,
    reference: exp,
    ulp: 1,
    domain: (x) => x <= EXP_LAST_FINITE,
    bend: [2 ** -5, 104.5],
    // Ends of the range, the step between normal and subnormal results, and where n changes.
    hard: [
      EXP_LAST_FINITE,
      EXP_LAST_NONZERO,
      -87.33654,
      -104,
      Math.LN2 / 2,
      1.5 * Math.LN2,
      -Math.LN2 / 2,
      126.5 * Math.LN2,
    ],
  },
  {
    name: 'tanh32',
    f: tanh32,
    reference: tanh,
    ulp: 1.5,
    domain: () => true,
    bend: [2 ** -5, 10],
    hard: [0.625, 9.010913, 44.36],
  },
  {
    name: 'erf32',
    f: erf32,
    reference: erf,
    ulp: 1.5,
    domain: () => true,
    bend: [2 ** -5, 4.2],
    hard: [1, 3.832506, 4],
  },
];

function worst({ f, reference, domain }: Case, inputs: Iterable<number>): { ulp: number; at: number } {
  let found = { ulp: 0, at: NaN };
  for (const x of inputs) {
    if (!Number.isFinite(x) || !domain(x)) continue;
    const ulp = ulpErrorF32(f(x), reference(x));
    if (!(ulp <= found.ulp)) found = { ulp, at: x };
  }
  return found;
}

describe('f32 functions against the f64 ones', () => {
  for (const c of CASES) {
    test(`${c.name}: at most ${c.ulp} ulp over the whole line`, () => {
      const inputs = [
        f32Sweep(WHOLE_STEP),
        dense(...c.bend),
        [...c.hard, ...F32_EDGES].flatMap((x) => f32Around(x, 20)),
      ];
      for (const some of inputs) {
        const { ulp, at } = worst(c, some);
        expect(ulp <= c.ulp, `${c.name}(${at}) is ${ulp} ulp off`).toBe(true);
      }
    });
  }

  test('every result is an f32, and NaN comes from NaN alone', () => {
    for (const { name, f } of CASES) {
      for (const x of f32Sweep(1000003)) {
        const y = f(x);
        expect(Object.is(Math.fround(y), y) && Number.isNaN(y) === Number.isNaN(x), `${name}(${x}) = ${y}`).toBe(true);
      }
    }
  });

  test('the measure can fail: mutants are caught', () => {
    const { fround } = Math;
    const [exponential, hyperbolic] = CASES;
    // ln 2 in one part: the reduction loses digits as |n| grows.
    const oneLn2 = (x: number): number => {
      const n = Math.round(x / Math.LN2);
      return exp32(fround(x - fround(n * fround(Math.LN2)))) * 2 ** n;
    };
    expect(worst({ ...exponential!, f: oneLn2 }, dense(1, 80)).ulp <= 1).toBe(false);
    // tanh without its small branch.
    const oneForm = (x: number): number => fround(1 - fround(2 / fround(exp32(fround(2 * x)) + 1)));
    expect(worst({ ...hyperbolic!, f: oneForm }, dense(2 ** -5, 10)).ulp <= 1.5).toBe(false);
    // 2^n in one step flushes what should be subnormal.
    const oneScale = (x: number): number => (exp32(x) < F32_MIN_NORMAL ? 0 : exp32(x));
    expect(worst({ ...exponential!, f: oneScale }, dense(80, 103)).ulp <= 1).toBe(false);
  });
});

describe('f32 functions at special values', () => {
  test('exp32', () => {
    expect([exp32(NaN), exp32(Infinity), exp32(-Infinity), exp32(0), exp32(-0)]).toEqual([NaN, Infinity, 0, 1, 1]);
    expect([exp32(F32_MAX), exp32(-F32_MAX), exp32(F32_MIN), exp32(-F32_MIN)]).toEqual([Infinity, 0, 1, 1]);
    expect(exp32(EXP_LAST_FINITE)).toBeLessThan(Infinity);
    expect(exp32(f32Around(EXP_LAST_FINITE, 1)[2]!)).toBe(Infinity);
    expect(exp32(EXP_LAST_NONZERO)).toBe(F32_MIN);
    expect(exp32(f32Around(EXP_LAST_NONZERO, 1)[2]!)).toBe(0);
  });

  test('tanh32 and erf32: odd, +-1 at the ends, tiny x stays', () => {
    for (const f of [tanh32, erf32]) {
      expect([f(NaN), f(Infinity), f(-Infinity), f(0), f(-0)]).toEqual([NaN, 1, -1, 0, -0]);
      expect([f(F32_MAX), f(-F32_MAX)]).toEqual([1, -1]);
      for (const x of f32Sweep(10000019)) if (!Number.isNaN(x)) expect(f(-x), `at ${x}`).toBe(-f(x));
    }
    expect(tanh32(F32_MIN)).toBe(F32_MIN);
    expect(erf32(F32_MIN)).toBe(F32_MIN); // 1.13 units
  });

  test('exp32 never falls as x rises', () => {
    const rising = Float32Array.from(dense(2 ** -5, 104.5)).sort();
    expect(rising.findIndex((x, i) => i > 0 && !(exp32(x) >= exp32(rising[i - 1]!)))).toBe(-1);
  });
});
