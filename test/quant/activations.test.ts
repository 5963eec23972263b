import * as fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ShapeError } from '../../src/core/errors.ts';
import {
  activationErrorBound,
  allocQuantizedRow,
  type QuantizedRow,
  quantizeActivations,
} from '../../src/quant/activations.ts';
import { F32_MAX, F32_MIN } from '../support/floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const { fround } = Math;

/** Blocks at one scale: subnormals to the largest f32, ties (odd halves of the scale), zeros, equals. */
const block = (size: number) =>
  fc.integer({ min: -149, max: 127 }).chain((e) =>
    fc
      .array(
        fc.oneof(
          fc.float({ min: -1, max: 1, noNaN: true }),
          fc.constantFrom(0, -0, 1, -1),
          fc.integer({ min: -254, max: 254 }).map((c) => c / 254),
        ),
        { minLength: size, maxLength: size },
      )
      .map((xs) => xs.map((x) => fround(x * 2 ** e))),
  );
const row = (size: number) =>
  fc.array(block(size), { maxLength: size > 32 ? 2 : 4 }).map((blocks) => Float32Array.from(blocks.flat()));

type Quantizer = typeof quantizeActivations;

function quantize(f: Quantizer, x: Float32Array, skew = 0, size = 32): QuantizedRow {
  const out = allocQuantizedRow(x.length, size);
  f(Float32Array.from([...Array(skew).fill(NaN), ...x, NaN]), skew, x.length, out);
  return out;
}

/** Codes in range, sums right, and every value within the stated bound. */
const keepsItsPromise = (f: Quantizer, size: number) =>
  fc.property(row(size), fc.nat(3), (x, skew) => {
    const { codes, scales, sums } = quantize(f, x, skew, size);
    const n = size === 256 ? 16 : 32;
    const sumsOk = sums.every((s, b) => s === codes.subarray(n * b, n * b + n).reduce((acc, c) => acc + c, 0));
    return (
      sumsOk &&
      sums.length === x.length / n &&
      x.every((v, i) => {
        const d = scales[Math.floor(i / size)]!;
        return Math.abs(codes[i]!) <= 127 && Math.abs(v - d * codes[i]!) <= activationErrorBound(d);
      })
    );
  });

describe('quantizeActivations', () => {
  test.each([32, 256])('blocks of %d: keeps its error bound at every scale', (size) => {
    fc.assert(keepsItsPromise(quantizeActivations, size), { numRuns: Math.floor(64_000 / size) });
  });

  test.each([32, 256])('blocks of %d: follows its definition, written from the three lines of its drawing', (size) => {
    fc.assert(
      fc.property(row(size), (x) => {
        const { codes, scales } = quantize(quantizeActivations, x, 0, size);
        return x.every((v, i) => {
          const first = i - (i % size);
          const amax = Math.max(...x.subarray(first, first + size).map(Math.abs));
          const d = fround(amax / 127);
          const t = d === 0 ? 0 : fround(v / d);
          const low = Math.floor(t);
          const nearest = t - low < 0.5 ? low : t - low > 0.5 ? low + 1 : low % 2 === 0 ? low : low + 1;
          return Object.is(scales[Math.floor(i / size)], d) && codes[i] === Math.min(127, Math.max(-127, nearest)) + 0;
        });
      }),
      { numRuns: Math.floor(16_000 / size) },
    );
  });

  test('ties go to even', () => {
    const x = new Float32Array(32);
    x.set([127, 0.5, 1.5, 2.5, -0.5, -1.5, -2.5, 125.5]);
    const { codes, scales, sums } = quantize(quantizeActivations, x);
    expect(scales[0]).toBe(1);
    expect([...codes.subarray(0, 8)]).toEqual([127, 0, 2, 2, 0, -2, -2, 126]);
    expect(sums[0]).toBe(127 + 2 + 2 - 2 - 2 + 126);
  });

  test('zeros, subnormals and the largest numbers', () => {
    const of = (v: number) => quantize(quantizeActivations, new Float32Array(32).fill(v));
    expect([of(-0).scales[0], of(-0).codes[0]]).toEqual([0, 0]);
    // 63 units of 2^-149 / 127 rounds to 0; 190 units give one unit, and a quotient of 190 that the clamp cuts.
    expect([of(63 * F32_MIN).scales[0], of(63 * F32_MIN).codes[0]]).toEqual([0, 0]);
    expect([of(190 * F32_MIN).scales[0], of(-190 * F32_MIN).codes[0]]).toEqual([F32_MIN, -127]);
    expect([of(F32_MAX).scales[0], of(F32_MAX).codes[0]]).toEqual([fround(F32_MAX / 127), 127]);
    expect(of(-1).sums[0]).toBe(-127 * 32);
  });

  test('a value that is not finite makes its own block NaN with codes 0, and no other', () => {
    for (const bad of [NaN, Infinity, -Infinity]) {
      for (const at of [32, 45, 63]) {
        const x = new Float32Array(96).fill(1);
        x[at] = bad;
        const { codes, scales, sums } = quantize(quantizeActivations, x);
        expect([...scales]).toEqual([fround(1 / 127), NaN, fround(1 / 127)]);
        expect([...sums]).toEqual([127 * 32, 0, 127 * 32]);
        expect(codes.subarray(32, 64).every((c) => c === 0)).toBe(true);
      }
    }
  });

  test('part blocks and short buffers are refused', () => {
    const x = new Float32Array(64);
    const out = allocQuantizedRow(64);
    expect(() => quantizeActivations(x, 0, 33, out)).toThrow(ShapeError);
    expect(() => quantizeActivations(x, 32, 64, out)).toThrow(ShapeError);
    expect(() => quantizeActivations(x, 0, 64, { ...out, codes: new Int8Array(63) })).toThrow(ShapeError);
    expect(() => quantizeActivations(x, 0, 64, { ...out, scales: new Float32Array(1) })).toThrow(ShapeError);
    expect(() => quantizeActivations(x, 0, 64, { ...out, sums: new Int32Array(1) })).toThrow(ShapeError);
    expect(() => allocQuantizedRow(-32)).toThrow(ShapeError);
    expect(() => allocQuantizedRow(32, 256)).toThrow(ShapeError);
    const long = allocQuantizedRow(256, 256);
    expect([long.scales.length, long.sums.length]).toEqual([1, 16]);
    expect(() => quantizeActivations(new Float32Array(256), 0, 32, long)).toThrow(ShapeError);
    expect(() => quantizeActivations(new Float32Array(256), 0, 256, { ...long, sums: new Int32Array(15) })).toThrow(
      ShapeError,
    );
  });

  test.each([32, 256])(
    'blocks of %d, mutants: codes cut towards zero, no clamp, one scale for the row, no sums',
    (size) => {
      const m = size === 256 ? 16 : 32; // codes of one sum
      const recode =
        (codeOf: (x: number, d: number) => number): Quantizer =>
        (x, from, n, out) => {
          quantizeActivations(x, from, n, out);
          for (let i = 0; i < n; i++) {
            const d = out.scales[Math.floor(i / size)]!;
            out.codes[i] = d > 0 ? codeOf(x[from + i]!, d) : 0;
          }
          out.sums.set(out.sums.map((_, b) => out.codes.subarray(m * b, m * b + m).reduce((acc, c) => acc + c, 0)));
        };
      const mutants: Quantizer[] = [
        recode((x, d) => Math.max(-127, Math.min(127, Math.trunc(x / d)))),
        recode((x, d) => Math.round(x / d)),
        (x, from, n, out) => {
          quantizeActivations(x, from, n, out);
          out.scales.fill(out.scales[0] ?? 0);
        },
        (x, from, n, out) => {
          quantizeActivations(x, from, n, out);
          out.sums.fill(0);
        },
      ];
      for (const mutant of mutants) expect(fc.check(keepsItsPromise(mutant, size), SEARCH).failed).toBe(true);
    },
  );
});
