import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type Tensor, tensor } from '../../src/core/tensor.ts';
import { type RopeLayout, rope, rope64 } from '../../src/ops/rope.ts';
import { ropeFrequencies, ropeTable, ropeTable64 } from '../../src/ops/rope_table.ts';
import { firstBitDifference } from '../support/bits.ts';
import { floatSource, hardFloats } from '../support/hard_floats.ts';
import { SEARCH } from '../support/mutant_search.ts';

const cases = fc.record({
  source: floatSource,
  nRows: fc.integer({ min: 0, max: 4 }),
  nHeads: fc.integer({ min: 1, max: 3 }),
  halfDim: fc.integer({ min: 1, max: 5 }),
  nCopied: fc.integer({ min: 0, max: 4 }),
  firstPosition: fc.nat(100),
});

type Case = typeof cases extends fc.Arbitrary<infer C> ? C : never;

function inputs({ source, nRows, nHeads, halfDim, nCopied, firstPosition }: Case) {
  const headDim = 2 * halfDim + nCopied;
  const spec = { frequencies: ropeFrequencies(10000, 2 * halfDim), magnitude: 1 };
  return {
    x: tensor([nRows, nHeads, headDim], hardFloats(source, nRows * nHeads * headDim)),
    positions: Int32Array.from({ length: nRows }, (_, t) => firstPosition + t),
    table: ropeTable(spec, firstPosition + nRows),
    table64: ropeTable64(spec, firstPosition + nRows),
  };
}

/** Element order of a head: 'pairs' (a0 b0 a1 b1 ...) to 'halves' (a0 a1 ... b0 b1 ...); what is not turned stays. */
function toHalves(x: Tensor, halfDim: number): Tensor {
  const headDim = x.shape[2]!;
  const data = x.data.map((v, i) => {
    const [head, d] = [i - (i % headDim), i % headDim];
    if (d >= 2 * halfDim) return v;
    return x.data[head + (d < halfDim ? 2 * d : 2 * (d - halfDim) + 1)]!;
  });
  return { shape: x.shape, data };
}

/** The property, for any rope. */
function areOnePermutation(turn: typeof rope) {
  return fc.property(cases, (c) => {
    const { x, positions, table } = inputs(c);
    const pairs = toHalves(turn(x, positions, table, 'pairs'), c.halfDim);
    const halves = turn(toHalves(x, c.halfDim), positions, table, 'halves');
    return firstBitDifference(pairs.data, halves.data) === -1;
  });
}

test('the two layouts are one rotation of differently ordered elements, bit for bit', () => {
  fc.assert(areOnePermutation(rope));
});

test('a mutant is caught: one layout turns the other way', () => {
  const mutant: typeof rope = (x, positions, { cos, sin, halfDim }, layout) =>
    rope(x, positions, { cos, sin: layout === 'pairs' ? sin : sin.map((v) => -v), halfDim }, layout);
  expect(fc.check(areOnePermutation(mutant), SEARCH).failed).toBe(true);
});

test.each<RopeLayout>(['pairs', 'halves'])(
  '%s: position 0 turns nothing, and elements from ropeDim on are copied',
  (layout) => {
    fc.assert(
      fc.property(cases, (c) => {
        const { x, positions, table } = inputs({ ...c, source: { ...c.source, kind: 'wide' } });
        expect(
          rope(
            x,
            positions.map(() => 0),
            table,
            layout,
          ).data.every((v, i) => v === x.data[i]),
        ).toBe(true);
        const y = rope(x, positions, table, layout);
        const headDim = x.shape[2]!;
        expect(y.data.every((v, i) => i % headDim < 2 * c.halfDim || Object.is(v, x.data[i]))).toBe(true);
        expect(y.data).not.toBe(x.data);
      }),
    );
  },
);

test('scores depend on the distance of two positions, not on where they are', () => {
  // In float64: a dot product of turned vectors moves by rounding alone when both positions move. Each of its terms has met
  // a handful of roundings, and the angles are off by 2^-53 relative, at most 2^-44 at these positions.
  const spec = { frequencies: ropeFrequencies(10000, 8), magnitude: 1 };
  const table = ropeTable64(spec, 400);
  const turned = (data: Float64Array, position: number) =>
    rope64(tensor([1, 1, 8], data), Int32Array.of(position), table, 'pairs').data;
  const unit = fc.double({ min: -1, max: 1, noNaN: true });
  const vector = fc.array(unit, { minLength: 8, maxLength: 8 }).map((v) => Float64Array.from(v));
  fc.assert(
    fc.property(vector, vector, fc.nat(99), fc.nat(99), fc.nat(300), (q, k, i, j, shift) => {
      const dot = (a: Float64Array, b: Float64Array) => a.reduce((sum, v, d) => sum + v * b[d]!, 0);
      const here = dot(turned(q, i), turned(k, j));
      const there = dot(turned(q, i + shift), turned(k, j + shift));
      const sumAbs = 16; // |q|, |k| <= 1, 8 terms of two products
      expect(Math.abs(here - there)).toBeLessThanOrEqual(2 * sumAbs * (2 ** -43 + 20 * 2 ** -53));
    }),
  );
});

describe('what does not fit is a ShapeError', () => {
  const table = ropeTable({ frequencies: [1, 0.1], magnitude: 1 }, 4);
  const x = tensor([2, 1, 4], new Float32Array(8));
  test.each([
    ['positions', () => rope(x, Int32Array.of(0), table, 'pairs'), 'x: axis 0 (T) is 2, expected 1'],
    [
      'a position beyond the table',
      () => rope(x, Int32Array.of(3, 4), table, 'pairs'),
      'rope: position 4 is outside the table of 4 positions',
    ],
    [
      'a negative position',
      () => rope(x, Int32Array.of(-1, 0), table, 'pairs'),
      'rope: position -1 is outside the table',
    ],
    [
      'a head',
      () => rope(tensor([2, 1, 3], new Float32Array(6)), Int32Array.of(0, 1), table, 'halves'),
      'rope: 4 turned elements do not fit headDim 3 of [2, 1, 3]',
    ],
    [
      'axes',
      () => rope(tensor([2, 4], new Float32Array(8)), Int32Array.of(0, 1), table, 'pairs'),
      'x: shape [2, 4] has 2 axes, expected 3 (T nHeads headDim)',
    ],
  ])('%s', (_what, call, message) => expect(call).toThrow(message));
});
