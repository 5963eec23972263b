import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES } from '../../src/core/dtype.ts';
import { ShapeError } from '../../src/core/errors.ts';
import { tensor, type Weight } from '../../src/core/tensor.ts';
import { concat } from '../../src/ops/concat.ts';
import { headLinear } from '../../src/ops/head_linear.ts';
import { linear } from '../../src/ops/linear.ts';
import { slice } from '../../src/ops/slice.ts';
import { firstBitDifference } from '../support/bits.ts';
import { floatSource, hardFloats } from '../support/hard_floats.ts';
import { weightBytes } from '../support/weight_cases.ts';

/** Ops on the heads of rows, [T, nHeads, n]. */

const sizes = fc.record({
  source: floatSource,
  nRows: fc.nat(4),
  nHeads: fc.integer({ min: 1, max: 4 }),
  n: fc.integer({ min: 1, max: 9 }),
  cut: fc.nat(),
});

test('slices of heads, put together by concat, are the heads', () => {
  fc.assert(
    fc.property(sizes, ({ source, nRows, nHeads, n, cut }) => {
      const x = tensor([nRows, nHeads, n], hardFloats(source, nRows * nHeads * n));
      const at = cut % (n + 1);
      const [left, right] = [slice(x, 0, at), slice(x, at, n - at)];
      expect(left.shape).toEqual([nRows, nHeads, at]);
      const whole = concat(left, right);
      expect(whole.shape).toEqual(x.shape);
      expect(firstBitDifference(whole.data, x.data)).toBe(-1);
    }),
  );
  const wide = concat(tensor([1, 1], Float64Array.of(1 / 3)), tensor([1, 1], Float64Array.of(2 / 3)));
  expect(wide.data).toEqual(Float64Array.of(1 / 3, 2 / 3));
});

describe('head_linear', () => {
  const asLinear = (product: typeof headLinear) =>
    fc.property(sizes, fc.constantFrom(...ALL_DTYPES), fc.boolean(), ({ source, nRows, nHeads }, dtype, isQ8) => {
      const nIn = DTYPES[dtype].blockSize === 1 ? 7 : DTYPES[dtype].blockSize;
      const nOut = 3;
      const bytes = weightBytes({ values: source }, dtype, nHeads * nOut, nIn);
      const w: Weight = { name: 'w', dtype, shape: [nHeads, nOut, nIn], bytes };
      const x = tensor([nRows, nHeads, nIn], hardFloats(source, nRows * nHeads * nIn, 3));
      const activations = isQ8 ? 'q8' : 'f32';
      const y = product(x, w, activations);
      expect(y.shape).toEqual([nRows, nHeads, nOut]);
      for (let row = 0; row < nRows * nHeads; row++) {
        const head = row % nHeads;
        const own = bytes.slice((head * bytes.length) / nHeads, ((head + 1) * bytes.length) / nHeads);
        const matrix = { ...w, shape: [nOut, nIn], bytes: own };
        const expected = linear(tensor([1, nIn], x.data.slice(row * nIn, (row + 1) * nIn)), matrix, activations).data;
        expect(firstBitDifference(y.data.subarray(row * nOut, (row + 1) * nOut), expected)).toBe(-1);
      }
    });
  test('is linear, head by head', () => fc.assert(asLinear(headLinear)));
  test('a mutant is caught: every head by the first matrix', () => {
    const first: typeof headLinear = (x, w, activations) => {
      const size = w.bytes.length / w.shape[0]!;
      const bytes = new Uint8Array(w.bytes.length);
      for (let at = 0; at < bytes.length; at += size) bytes.set(w.bytes.subarray(0, size), at);
      return headLinear(x, { ...w, bytes }, activations);
    };
    expect(fc.check(asLinear(first), { seed: 2 }).failed).toBe(true);
  });
});

test('what does not fit is a ShapeError', () => {
  const x = tensor([2, 3, 4], new Float32Array(24));
  const w: Weight = { name: 'w', dtype: 'f32', shape: [2, 5, 4], bytes: new Uint8Array(160) };
  const wrong = (call: () => unknown, message: string): void => {
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(message);
  };
  wrong(() => headLinear(x, w, 'f32'), 'w: axis 0 (nHeads) is 2, expected 3');
  wrong(() => headLinear(x, { ...w, shape: [3, 5, 2] }, 'f32'), 'w: axis 2 (in) is 2, expected 4');
  wrong(() => concat(x, tensor([2, 2, 4], new Float32Array(16))), 'b: axis 1 (3) is 2, expected 3');
  wrong(() => concat(x, tensor([2, 12], new Float32Array(24))), 'b: shape [2, 12] has 2 axes, expected 3');
  wrong(() => slice(x, 3, 2), 'slice: columns 3..5 are outside [2, 3, 4]');
});
