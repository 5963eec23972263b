import { erf, exp, tanh } from '../../src/core/math.ts';
import { erf32, exp32, tanh32 } from '../../src/core/math_f32.ts';
import { ulpErrorF32 } from './floats.ts';

/** e^x rounds to Infinity above this: the last f32 below ln(F32_MAX + half a unit). */
export const EXP_LAST_FINITE = 88.72283172607422;
/** e^x rounds to 0 below this: the last f32 above ln(2^-150). */
export const EXP_LAST_NONZERO = -103.97207641601562;

/** One f32 function, the f64 function that it is held to, and what its docstring promises. */
export interface F32Function {
  readonly name: string;
  readonly f: (x: number) => number;
  readonly reference: (x: number) => number;
  /** The promised largest error. */
  readonly ulp: number;
  /** Where the exact result rounds to a finite f32. */
  readonly domain: (x: number) => boolean;
  /** Magnitudes between which the function is neither its first terms at 0 nor at its end. */
  readonly bend: readonly [number, number];
  /** Places where the code changes its way. */
  readonly hard: readonly number[];
}

export const EXP32: F32Function = {
  name: 'exp32',
  f: exp32,
  reference: exp,
  ulp: 1,
  domain: (x) => x <= EXP_LAST_FINITE,
  bend: [2 ** -5, 104.5],
  // Ends of the range, the step between normal and subnormal results, and where n changes.
  hard: [EXP_LAST_FINITE, EXP_LAST_NONZERO, -87.33654, -104, ...[0.5, 1.5, -0.5, 126.5].map((n) => n * Math.LN2)],
};

export const TANH32: F32Function = {
  name: 'tanh32',
  f: tanh32,
  reference: tanh,
  ulp: 1.5,
  domain: () => true,
  bend: [2 ** -5, 10],
  hard: [0.625, 9.010913, 44.36],
};

export const ERF32: F32Function = {
  name: 'erf32',
  f: erf32,
  reference: erf,
  ulp: 1.5,
  domain: () => true,
  bend: [2 ** -5, 4.2],
  hard: [1, 3.832506, 4],
};

export const F32_FUNCTIONS: readonly F32Function[] = [EXP32, TANH32, ERF32];

/** Every step-th f32 between two positive numbers, and its negative. */
export function* bothSigns([low, high]: readonly [number, number], step: number): Generator<number> {
  const value = new Float32Array([low, high]);
  const bits = new Uint32Array(value.buffer);
  const end = bits[1]!;
  for (let b = bits[0]!; b < end; b += step) {
    bits[0] = b;
    yield value[0]!;
    yield -value[0]!;
  }
}

/** Largest error over the finite `inputs` within the domain, and where. A NaN result counts as the largest of all. */
export function worstUlp({ f, reference, domain }: F32Function, inputs: Iterable<number>): { ulp: number; at: number } {
  let worst = { ulp: 0, at: NaN };
  for (const x of inputs) {
    if (!Number.isFinite(x) || !domain(x)) continue;
    const ulp = ulpErrorF32(f(x), reference(x));
    if (!(ulp <= worst.ulp)) worst = { ulp, at: x };
  }
  return worst;
}
