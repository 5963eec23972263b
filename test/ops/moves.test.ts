import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type DType, isBlockFormat, rowBytes } from '../../src/core/dtype.ts';
import { ShapeError } from '../../src/core/errors.ts';
import { type Tensor, tensor, type Weight } from '../../src/core/tensor.ts';
import { add, add64 } from '../../src/ops/add.ts';
import { embed, embed64 } from '../../src/ops/embed.ts';
import { linear, linear64 } from '../../src/ops/linear.ts';
import { mul } from '../../src/ops/mul.ts';
import { rmsNorm, rmsNorm64 } from '../../src/ops/rms_norm.ts';
import { slice } from '../../src/ops/slice.ts';
import { takeRows } from '../../src/ops/take_rows.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { floatSource, hardFloats } from '../support/hard_floats.ts';
import { weightBytes } from '../support/weight_cases.ts';

/** Ops that move numbers without changing them, and what every op refuses. */

const sizes = fc.record({
  source: floatSource,
  nRows: fc.integer({ min: 0, max: 5 }),
  width: fc.integer({ min: 1, max: 9 }),
});

describe('slice', () => {
  test('the slices of a row, put together, are the row', () => {
    fc.assert(
      fc.property(sizes, fc.nat(), ({ source, nRows, width }, cut) => {
        const x = tensor([nRows, width], hardFloats(source, nRows * width));
        const at = cut % (width + 1);
        const [left, right] = [slice(x, 0, at), slice(x, at, width - at)];
        for (let t = 0; t < nRows; t++) {
          const row = [
            ...left.data.subarray(t * at, (t + 1) * at),
            ...right.data.subarray(t * (width - at), (t + 1) * (width - at)),
          ];
          expect(firstBitDifference(row, x.data.subarray(t * width, (t + 1) * width))).toBe(-1);
        }
      }),
    );
  });

  test('is a copy, and f64 stays f64', () => {
    const x = tensor([1, 2], Float64Array.of(1 / 3, 2 / 3));
    const y = slice(x, 0, 2);
    expect(y.data).toEqual(x.data);
    y.data[0] = 0;
    expect(x.data[0]).toBe(1 / 3);
  });
});

describe('take_rows', () => {
  test('row r is row rows[r], in any order and as often as asked', () => {
    fc.assert(
      fc.property(sizes, fc.array(fc.nat(), { maxLength: 6 }), ({ source, nRows, width }, picks) => {
        const x = tensor([nRows, width], hardFloats(source, nRows * width));
        const rows = Int32Array.from(nRows === 0 ? [] : picks.map((p) => p % nRows));
        const y = takeRows(x, rows);
        expect(y.shape).toEqual([rows.length, width]);
        rows.forEach((t, r) => {
          const got = y.data.subarray(r * width, (r + 1) * width);
          expect(firstBitDifference(got, x.data.subarray(t * width, (t + 1) * width))).toBe(-1);
        });
      }),
    );
  });

  test('f64 stays f64', () => {
    expect(takeRows(tensor([2, 1], Float64Array.of(1 / 3, 2 / 3)), Int32Array.of(1)).data).toEqual(
      Float64Array.of(2 / 3),
    );
  });
});

describe('embed', () => {
  const dtypes: readonly DType[] = ['f32', 'f16', 'bf16', 'q8_0', 'q4_0'];
  test.each(dtypes)('%s: row t is the unpacked row ids[t], in both tiers', (dtype) => {
    fc.assert(
      fc.property(
        floatSource,
        fc.integer({ min: 1, max: 6 }),
        fc.array(fc.nat(), { maxLength: 5 }),
        (source, vocab, picks) => {
          const dim = isBlockFormat(dtype) ? 64 : 9;
          const table: Weight = {
            name: 'table',
            dtype,
            shape: [vocab, dim],
            bytes: weightBytes({ values: source }, dtype, vocab, dim),
          };
          const ids = Int32Array.from(picks, (p) => p % vocab);
          const y = embed(ids, table);
          const whole = new Float32Array(vocab * dim);
          FORMATS[dtype].unpack(table.bytes, 0, whole, 0, whole.length);
          ids.forEach((id, t) => {
            const row = whole.subarray(id * dim, (id + 1) * dim);
            expect(firstBitDifference(y.data.subarray(t * dim, (t + 1) * dim), row)).toBe(-1);
          });
          expect(firstBitDifference(embed64(ids, table).data, y.data)).toBe(-1);
        },
      ),
      { numRuns: 30 },
    );
  });
});

test('no op writes into its inputs', () => {
  const x = tensor([2, 2], Float32Array.of(1, 2, 3, 4));
  const copy = x.data.slice();
  for (const y of [add(x, x), mul(x, x), rmsNorm(x, tensor([2], Float32Array.of(1, 1)), 0), slice(x, 0, 2)]) {
    expect(y.data).not.toBe(x.data);
  }
  expect(x.data).toEqual(copy);
});

describe('what does not fit is a ShapeError', () => {
  const x: Tensor = tensor([2, 4], new Float32Array(8));
  const weight = (dtype: DType, nOut: number, nIn: number): Weight => ({
    name: 'blk.0.w',
    dtype,
    shape: [nOut, nIn],
    bytes: new Uint8Array(nOut * rowBytes(dtype, nIn)),
  });
  const WRONG: [what: string, call: () => unknown, message: string][] = [
    ['add', () => add(x, tensor([4, 2], new Float32Array(8))), 'add: shapes [2, 4] and [4, 2] differ'],
    [
      'add64',
      () => add64(tensor([1], new Float64Array(1)), tensor([1, 1], new Float64Array(1))),
      'add: shapes [1] and [1, 1] differ',
    ],
    ['mul', () => mul(x, tensor([8], new Float32Array(8))), 'mul: shapes [2, 4] and [8] differ'],
    ['linear', () => linear(x, weight('f32', 3, 5), 'f32'), 'blk.0.w: axis 1 (in) is 5, expected 4'],
    ['linear, quantized', () => linear(x, weight('q8_0', 3, 32), 'q8'), 'blk.0.w: axis 1 (in) is 32, expected 4'],
    [
      'linear64',
      () => linear64(tensor([4], new Float64Array(4)), weight('f32', 3, 4)),
      'x: shape [4] has 1 axes, expected 2 (T in)',
    ],
    ['rms_norm', () => rmsNorm(x, tensor([5], new Float32Array(5)), 1e-5), 'g: axis 0 (dim) is 5, expected 4'],
    [
      'rms_norm64',
      () => rmsNorm64(tensor([1, 4], new Float64Array(4)), tensor([5], new Float64Array(5)), 1e-5),
      'g: axis 0 (dim) is 5, expected 4',
    ],
    ['slice beyond', () => slice(x, 2, 3), 'slice: columns 2..5 are outside [2, 4]'],
    ['slice before', () => slice(x, -1, 3), 'slice: columns -1..2 are outside [2, 4]'],
    ['take_rows', () => takeRows(x, Int32Array.of(0, 2)), 'take_rows: row 2 is outside 0..1'],
    [
      'embed beyond',
      () => embed(Int32Array.of(0, 3), weight('f32', 3, 4)),
      'token id 3 at index 1 is outside the vocabulary 0..2; check the tokenizer or --ids',
    ],
    ['embed before', () => embed(Int32Array.of(-1), weight('f32', 3, 4)), 'token id -1 at index 0'],
  ];
  test.each(WRONG)('%s', (_what, call, message) => {
    expect(call).toThrow(ShapeError);
    expect(call).toThrow(message);
  });
});
