import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { divideFrequencies, type Llama3Scaling, scaleLinear, scaleLlama3 } from '../../src/ops/rope_scaling.ts';
import { ropeFrequencies, ropeTable, ropeTable64 } from '../../src/ops/rope_table.ts';
import { bigCos, bigExp, bigLog, bigOf, bigSin, ulpError } from '../support/big_math.ts';

/** Positions at the ends of common contexts, and some between. */
const POSITIONS: readonly number[] = [0, 1, 2, 63, 4095, 4096, 8191, 32767, 99991, 131071];

/** base^(-2i / ropeDim) in integer arithmetic: exp(-(2i / ropeDim) ln base), where 2i / ropeDim is exact in binary. */
function bigFrequency(base: number, ropeDim: number, i: number): bigint {
  const { count, exponent } = bigExp(-(bigLog(base) * BigInt(2 * i)) / BigInt(ropeDim));
  return exponent >= 0 ? count << BigInt(exponent) : count >> BigInt(-exponent);
}

const RELATIVE = 2 ** -53;

/**
 * What the cos or sin of position p may be off by, at most, in float64 and rounded to f32.
 * The frequency is off by 5 units of 2^-53 at most, the product p * frequency rounds: so the angle, and with it cos and sin.
 */
function tableBounds(p: number, frequency: number): { readonly bound64: number; readonly bound32: number } {
  const bound64 = 6 * RELATIVE * p * frequency + 2 * RELATIVE;
  return { bound64, bound32: bound64 + 2 ** -25 };
}

describe.each([
  [10000, 128],
  [500000, 128],
  [1000000, 16],
])('base %d, %d turned elements', (base, ropeDim) => {
  const frequencies = ropeFrequencies(base, ropeDim);

  test('frequencies are base^(-2i / ropeDim) within 2.5 ulp', () => {
    // pow is 1 ulp off at most, which is up to 2 of the reciprocal's, whose own rounding is half a one.
    for (const [i, f] of frequencies.entries()) {
      expect(ulpError(f, bigFrequency(base, ropeDim, i))).toBeLessThanOrEqual(2.5);
    }
    expect(frequencies).toHaveLength(ropeDim / 2);
  });

  test('cos and sin are those of the exact angle, to the last f32 bit but rounding, up to position 131,071', () => {
    const spec = { frequencies, magnitude: 1 };
    const nPositions = POSITIONS.at(-1)! + 1;
    // A table of 131,072 positions is large: two of its columns are enough.
    const picked = [1, ropeDim / 4];
    const few = { ...spec, frequencies: picked.map((i) => frequencies[i]!) };
    const table = ropeTable(few, nPositions);
    const table64 = ropeTable64(few, nPositions);
    for (const p of POSITIONS) {
      picked.forEach((i, column) => {
        const angle = BigInt(p) * bigFrequency(base, ropeDim, i);
        const at = p * picked.length + column;
        for (const [f32, f64, exact] of [
          [table.cos[at]!, table64.cos[at]!, bigCos(angle)],
          [table.sin[at]!, table64.sin[at]!, bigSin(angle)],
        ] as const) {
          const { bound64, bound32 } = tableBounds(p, frequencies[i]!);
          expect(distance(f64, exact)).toBeLessThanOrEqual(bound64);
          expect(distance(f32, exact)).toBeLessThanOrEqual(bound32);
        }
      });
    }
  });
});

/** |got - exact|, as a number: the difference is exact, and rounded once. */
function distance(got: number, exact: bigint): number {
  const difference = bigOf(got) - exact;
  const magnitude = difference < 0n ? -difference : difference;
  return Number(magnitude >> 200n) / 2 ** 200; // 400 fraction bits; what is cut is below 2^-200
}

test('f32 angles would be wrong at length: why the table is made in float64', () => {
  const f = ropeFrequencies(10000, 64)[1]!;
  const p = 131071;
  const exact = bigCos(BigInt(p) * bigFrequency(10000, 64, 1));
  const inF32 = Math.cos(Math.fround(p * Math.fround(f)));
  const own = ropeTable64({ frequencies: [f], magnitude: 1 }, p + 1).cos[p]!;
  const { bound64, bound32 } = tableBounds(p, f);
  expect(distance(own, exact)).toBeLessThanOrEqual(bound64);
  // The frequency and the product each round by 2^-24 of the angle, which may reach cos whole: far beyond what f32 can hold.
  expect(distance(inF32, exact)).toBeLessThanOrEqual(bound64 + 2 * 2 ** -24 * (1 + 2 ** -24) * p * f);
  expect(distance(inF32, exact)).toBeGreaterThan(bound32);
});

test('the f32 table is the float64 one rounded once, and magnitude multiplies both', () => {
  const spec = { frequencies: ropeFrequencies(10000, 16), magnitude: 1.25 };
  const [table, table64] = [ropeTable(spec, 100), ropeTable64(spec, 100)];
  const plain = ropeTable64({ ...spec, magnitude: 1 }, 100);
  expect(table.cos).toEqual(Float32Array.from(table64.cos));
  expect(table.sin).toEqual(Float32Array.from(table64.sin));
  expect(table64.cos).toEqual(plain.cos.map((v) => v * 1.25));
  expect(table64.sin).toEqual(plain.sin.map((v) => v * 1.25));
  expect(table.halfDim).toBe(8);
});

describe('scaling', () => {
  test('linear: position p of the scaled model is position p / factor of the plain one', () => {
    expect(scaleLinear([1, 0.5, 0.125], 4)).toEqual([0.25, 0.125, 0.03125]);
  });

  /** Llama 3.1: factor 8, low 1, high 4, context 8192. */
  const LLAMA_3_1: Llama3Scaling = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 };
  /** Frequency that turns n times within the original context. */
  const turning = (n: number): number => (2 * Math.PI * n) / 8192;

  test.each([
    // turns within the context: below low -> f / 8; above high -> f; between: s = (turns - 1) / 3
    ['one turn in two contexts', 0.5, 1 / 8],
    ['just below low', 0.999, 1 / 8],
    ['a third of the way: s = 1/3', 2, (2 / 3) * (1 / 8) + 1 / 3],
    ['half way: s = 1/2', 2.5, (1 / 2) * (1 / 8) + 1 / 2],
    ['two thirds: s = 2/3', 3, (1 / 3) * (1 / 8) + 2 / 3],
    ['just above high', 4.001, 1],
    ['a hundred turns', 100, 1],
  ])('llama3, %s', (_what, turns, ratio) => {
    const [scaled] = scaleLlama3([turning(turns)], LLAMA_3_1);
    // The blend's error: the two quotients, s and three more operations on numbers of at most 4.
    expect(Math.abs(scaled! / turning(turns) - ratio)).toBeLessThanOrEqual(16 * RELATIVE);
  });

  test('llama3 is continuous at both ends', () => {
    const scaledAt = (turns: number): number => scaleLlama3([turning(turns)], LLAMA_3_1)[0]! / turning(turns);
    const step = 2 ** -30; // the blend's slope is (1 - 1/8) / 3 per turn
    for (const end of [1, 4]) {
      expect(Math.abs(scaledAt(end - step) - scaledAt(end + step))).toBeLessThanOrEqual(2 * step);
    }
  });

  test('llama3 on the frequencies of Llama 3.1: the first stay, the last are divided, in between they fall', () => {
    const plain = ropeFrequencies(500000, 128);
    const ratios = scaleLlama3(plain, LLAMA_3_1).map((f, i) => f / plain[i]!);
    // i turns 8192 f / 2 pi times: f > 2 pi 4 / 8192 up to i = 28, f < 2 pi / 8192 from i = 35 on
    const last = (turns: number) => plain.filter((f) => f > turning(turns)).length;
    expect([last(4), last(1)]).toEqual([29, 35]);
    expect(ratios.slice(0, 29)).toEqual(Array(29).fill(1));
    expect(ratios.slice(35)).toEqual(Array(29).fill(1 / 8));
    for (let i = 29; i < 35; i++) expect(ratios[i]!).toBeLessThan(ratios[i - 1]!);
  });

  test('factors divide, one each', () => {
    expect(divideFrequencies([1, 0.5], [1, 8])).toEqual([1, 0.0625]);
  });
});

describe('settings out of range are ConfigErrors', () => {
  const llama3 = { factor: 8, lowFreqFactor: 1, highFreqFactor: 4, originalContext: 8192 };
  test.each([
    ['base 0', () => ropeFrequencies(0, 8), 'rope base is 0, must be a positive number'],
    ['base NaN', () => ropeFrequencies(NaN, 8), 'rope base is NaN'],
    ['odd dim', () => ropeFrequencies(10000, 7), 'rope dim is 7, must be even and positive'],
    ['no dim', () => ropeFrequencies(10000, 0), 'rope dim is 0'],
    ['factor 0', () => scaleLinear([1], 0), 'rope scaling factor is 0, must be a positive number'],
    ['factor infinite', () => scaleLinear([1], Infinity), 'rope scaling factor is Infinity'],
    ['llama3 factor', () => scaleLlama3([1], { ...llama3, factor: -8 }), 'rope scaling factor is -8'],
    ['llama3 context', () => scaleLlama3([1], { ...llama3, originalContext: 0 }), 'rope scaling originalContext is 0'],
    [
      'llama3 ends',
      () => scaleLlama3([1], { ...llama3, highFreqFactor: 1 }),
      'lowFreqFactor 1 must be below highFreqFactor 1',
    ],
    [
      'number of factors',
      () => divideFrequencies([1, 1], [1]),
      'rope_freqs.weight has 1 factors, the rope turns 2 pairs',
    ],
    ['a factor of 0', () => divideFrequencies([1, 1], [1, 0]), 'rope_freqs.weight[1] is 0, must be a positive number'],
  ])('%s', (_what, call, message) => {
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(message);
  });
});
