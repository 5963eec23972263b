import { describe, expect, test } from 'vitest';
import { erf32, exp32, tanh32 } from '../../src/core/math_f32.ts';
import {
  bothSigns,
  EXP_LAST_FINITE,
  EXP_LAST_NONZERO,
  EXP32,
  F32_FUNCTIONS,
  TANH32,
  worstUlp,
} from '../support/f32_functions.ts';
import { F32_EDGES, F32_MAX, F32_MIN, F32_MIN_NORMAL, f32Around, f32Sweep } from '../support/floats.ts';

/** Odd steps, so that all low bits are met: 430,000 patterns of the whole line, and as many where the function bends. */
const WHOLE_STEP = 10007;
const DENSE_STEP = 1009;

describe('f32 functions against the f64 ones', () => {
  for (const c of F32_FUNCTIONS) {
    test(`${c.name}: at most ${c.ulp} ulp over the whole line`, () => {
      const inputs = [
        f32Sweep(WHOLE_STEP),
        bothSigns(c.bend, DENSE_STEP),
        [...c.hard, ...F32_EDGES].flatMap((x) => f32Around(x, 20)),
      ];
      for (const some of inputs) {
        const { ulp, at } = worstUlp(c, some);
        expect(ulp <= c.ulp, `${c.name}(${at}) is ${ulp} ulp off`).toBe(true);
      }
    });
  }

  test('every result is an f32, and NaN comes from NaN alone', () => {
    for (const { name, f } of F32_FUNCTIONS) {
      for (const x of f32Sweep(1000003)) {
        const y = f(x);
        expect(Object.is(Math.fround(y), y) && Number.isNaN(y) === Number.isNaN(x), `${name}(${x}) = ${y}`).toBe(true);
      }
    }
  });

  test('the measure can fail: mutants are caught', () => {
    const { fround } = Math;
    // ln 2 in one part: the reduction loses digits as |n| grows.
    const oneLn2 = (x: number): number => {
      const n = Math.round(x / Math.LN2);
      return exp32(fround(x - fround(n * fround(Math.LN2)))) * 2 ** n;
    };
    expect(worstUlp({ ...EXP32, f: oneLn2 }, bothSigns([1, 80], DENSE_STEP)).ulp <= 1).toBe(false);
    // tanh without its small branch.
    const oneForm = (x: number): number => fround(1 - fround(2 / fround(exp32(fround(2 * x)) + 1)));
    expect(worstUlp({ ...TANH32, f: oneForm }, bothSigns([2 ** -5, 10], DENSE_STEP)).ulp <= 1.5).toBe(false);
    // 2^n in one step flushes what should be subnormal.
    const oneScale = (x: number): number => (exp32(x) < F32_MIN_NORMAL ? 0 : exp32(x));
    expect(worstUlp({ ...EXP32, f: oneScale }, bothSigns([80, 103], DENSE_STEP)).ulp <= 1).toBe(false);
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
    const rising = Float32Array.from(bothSigns([2 ** -5, 104.5], DENSE_STEP)).sort();
    expect(rising.findIndex((x, i) => i > 0 && !(exp32(x) >= exp32(rising[i - 1]!)))).toBe(-1);
  });
});
