import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import { pow } from '../../src/core/math.ts';
import {
  dynamicNtkBase,
  longRopeMagnitude,
  scaleYarn,
  type YarnScaling,
  yarnMagnitude,
} from '../../src/ops/rope_scaling.ts';
import { ropeFrequencies } from '../../src/ops/rope_table.ts';
import { bigLog, bigOf } from '../support/big_math.ts';

const RELATIVE = 2 ** -53;

/** A fixed-point number of test/support/big_math.ts, rounded. */
const ONE = bigOf(1);
const numberOf = (x: bigint): number => Number((x * 2n ** 80n) / ONE) / 2 ** 80;

describe('yarn', () => {
  /** How often pair i turns within the original context. Pairs beyond the last one are counted too: the blend may end there. */
  const turnsOf = (base: number, ropeDim: number, o: YarnScaling, i: number): number =>
    (o.originalContext * pow(base, (-2 * i) / ropeDim)) / (2 * Math.PI);

  const settings = fc.record({
    base: fc.constantFrom(500, 10000, 500000, 1e6, 5e6),
    ropeDim: fc.constantFrom(8, 16, 64, 96, 128),
    factor: fc.constantFrom(1, 1.5, 4, 8, 40),
    originalContext: fc.integer({ min: 100, max: 40000 }),
    betaFast: fc.constantFrom(8, 32, 33.5),
    betaSlow: fc.constantFrom(1, 2.5),
  });

  test('pairs that turn often stay, those that turn seldom are divided, those between are blended by their index', () =>
    fc.assert(
      fc.property(settings, ({ base, ropeDim, ...o }) => {
        const plain = ropeFrequencies(base, ropeDim);
        const indices = Array.from({ length: ropeDim }, (_, i) => i);
        // floor of the index that turns betaFast times: the last one that turns as often; and ceil the first that does not.
        const low = Math.max(
          indices.findLastIndex((i) => turnsOf(base, ropeDim, o, i) >= o.betaFast),
          0,
        );
        const first = indices.findIndex((i) => turnsOf(base, ropeDim, o, i) <= o.betaSlow);
        const high = first === -1 ? ropeDim - 1 : first;
        scaleYarn(base, ropeDim, o).forEach((f, i) => {
          const r = i <= low ? 0 : i >= high ? 1 : (i - low) / (high - low);
          const expected = plain[i]! * (1 - r * (1 - 1 / o.factor));
          // Six operations on numbers of one sign here, five there; 1 / factor costs its share of what is left.
          expect(Math.abs(f - expected)).toBeLessThanOrEqual(12 * RELATIVE * plain[i]!);
        });
      }),
    ));

  test('Qwen2.5 at four times its context: the first 23 pairs stay, from the 40th on all are divided', () => {
    const o = { factor: 4, originalContext: 32768, betaFast: 32, betaSlow: 1 };
    const plain = ropeFrequencies(1e6, 128);
    const ratios = scaleYarn(1e6, 128, o).map((f, i) => f / plain[i]!);
    expect(ratios.slice(0, 24)).toEqual(Array(24).fill(1));
    expect(ratios.slice(40)).toEqual(Array(24).fill(1 / 4));
    for (let i = 24; i <= 40; i++) expect(ratios[i]!).toBeLessThan(ratios[i - 1]!);
  });

  test('the magnitude is 1 + ln(factor) / 10', () => {
    for (const factor of [1.5, 4, 40]) {
      const exact = 1 + numberOf(bigLog(factor)) / 10;
      expect(Math.abs(yarnMagnitude(factor) - exact)).toBeLessThanOrEqual(4 * RELATIVE * exact);
      expect(yarnMagnitude(factor, 0)).toBe(1);
    }
    expect([yarnMagnitude(1), yarnMagnitude(0.5)]).toEqual([1, 1]);
  });
});

describe('dynamic NTK', () => {
  test('the slowest pair turns as slowly as the length asks for, and the fastest as before', () =>
    fc.assert(
      fc.property(
        fc.constantFrom(10000, 500000),
        fc.constantFrom(4, 16, 64, 128),
        fc.constantFrom(1, 2, 4.5),
        fc.integer({ min: 64, max: 8192 }),
        fc.integer({ min: 1, max: 4 }),
        (base, ropeDim, factor, originalContext, times) => {
          const length = originalContext * times;
          const scaled = ropeFrequencies(dynamicNtkBase(base, ropeDim, { factor, originalContext }, length), ropeDim);
          const plain = ropeFrequencies(base, ropeDim);
          const stretch = times === 1 ? 1 : factor * times - (factor - 1);
          // base' is off by a few units, and a power of it that is at most 1; as is each of the two frequencies.
          const error = Math.abs((scaled.at(-1)! * stretch) / plain.at(-1)! - 1);
          expect(error).toBeLessThanOrEqual(24 * RELATIVE);
          expect(scaled[0]).toBe(1);
        },
      ),
    ));

  test('up to the original context nothing changes', () => {
    const o = { factor: 4, originalContext: 2048 };
    for (const length of [1, 2047, 2048]) expect(dynamicNtkBase(10000, 64, o, length)).toBe(10000);
    expect(dynamicNtkBase(10000, 64, o, 2049)).toBeGreaterThan(10000);
  });
});

test('the magnitude of longrope: sqrt(1 + ln(s) / ln(context))', () => {
  // 131072 / 4096 = 2^5, and 4096 = 2^12.
  expect(Math.abs(longRopeMagnitude(131072, 4096) - Math.sqrt(17 / 12))).toBeLessThanOrEqual(4 * RELATIVE);
  expect([longRopeMagnitude(4096, 4096), longRopeMagnitude(2048, 4096)]).toEqual([1, 1]);
});

describe('settings out of range are ConfigErrors', () => {
  const yarn: YarnScaling = { factor: 4, originalContext: 4096, betaFast: 32, betaSlow: 1 };
  const dynamic = { factor: 2, originalContext: 4096 };
  test.each([
    ['yarn factor', () => scaleYarn(10000, 64, { ...yarn, factor: 0 }), 'rope scaling factor is 0'],
    ['yarn context', () => scaleYarn(10000, 64, { ...yarn, originalContext: NaN }), 'originalContext is NaN'],
    ['yarn betas', () => scaleYarn(10000, 64, { ...yarn, betaSlow: 33 }), 'betaSlow 33 must not be above betaFast 32'],
    ['yarn base', () => scaleYarn(1, 64, yarn), 'rope base is 1, yarn needs one above 1'],
    ['dynamic factor', () => dynamicNtkBase(10000, 64, { ...dynamic, factor: 0.5 }, 9), 'rope scaling factor is 0.5'],
    ['dynamic dim', () => dynamicNtkBase(10000, 2, dynamic, 9), 'rope dim is 2, dynamic scaling needs more than 2'],
    ['longrope context', () => longRopeMagnitude(4096, 1), 'originalContext is 1, must be above 1'],
  ])('%s', (_what, call, message) => {
    expect(call).toThrow(ConfigError);
    expect(call).toThrow(message);
  });
});
