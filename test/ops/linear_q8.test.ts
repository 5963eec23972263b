import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ALL_DTYPES, DTYPES, isBlockFormat } from '../../src/core/dtype.ts';
import { type Tensor, tensor, type Weight } from '../../src/core/tensor.ts';
import { linear } from '../../src/ops/linear.ts';
import { linearQ8 } from '../../src/ops/linear_q8.ts';
import { allocQuantizedRow, quantizeActivations } from '../../src/quant/activations.ts';
import { allocCodedBlock, type CodedFormat } from '../../src/quant/coded_block.ts';
import { CODED_DTYPES, type CodedDType, codedFormat, takesQ8 } from '../../src/quant/codes.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { writeScales } from '../support/block_scales.ts';
import { floatSource, hardFloats } from '../support/hard_floats.ts';
import { weightBytes, weightSource } from '../support/weight_cases.ts';

const { fround } = Math;
const isSuper = (dtype: CodedDType): boolean => DTYPES[dtype].blockSize === 256;
const HAVE_MINIMA: readonly CodedDType[] = ['q4_1', 'q5_1', 'q2_k', 'q4_k', 'q5_k'];

test('the formats with integer codes', () => {
  expect(CODED_DTYPES).toHaveLength(13);
  expect(ALL_DTYPES.filter(takesQ8).toSorted()).toEqual(CODED_DTYPES.toSorted());
  expect(CODED_DTYPES.filter((dtype) => codedFormat(dtype).hasMins)).toEqual(HAVE_MINIMA);
  expect(CODED_DTYPES.filter((dtype) => codedFormat(dtype).subBlockSize === 16)).toEqual(['q2_k', 'q3_k', 'q6_k']);
  expect(() => codedFormat('f16')).toThrow(/f16/);
});

/**
 * linearQ8 from the unpacked weights alone, without the format's own reader: with d = 1 and dmin = 1 a block unpacks to
 * s c - m, with d = 1 and dmin = 0 to s c. Sums are taken over all elements of a block at once. (The scales of the format are
 * powers of two there, so that they are exact; mxfp4 and the like take any.)
 */
function fromUnpacked(x: Tensor, w: Weight, d: number, dmin: number): Float32Array {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const { blockSize, blockBytes } = DTYPES[w.dtype];
  const y = new Float32Array(nRows * nOut);
  const unit = w.dtype === 'mxfp4' ? 2 : 1; // its codes are doubled
  const parts = (scale: number, min: number): Float32Array => {
    const bytes = w.bytes.slice();
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < bytes.length; at += blockBytes) writeScales(w.dtype, view, at, scale, min);
    const values = new Float32Array(nOut * nIn);
    FORMATS[w.dtype].unpack(bytes, 0, values, 0, values.length);
    return values;
  };
  const sc = parts(1, 0);
  const m = parts(0, 1); // -m, or +m where m is added
  const addsMin = w.dtype === 'q4_1' || w.dtype === 'q5_1';
  const q = allocQuantizedRow(nIn, blockSize);
  for (let t = 0; t < nRows; t++) {
    quantizeActivations(x.data, t * nIn, nIn, q);
    for (let o = 0; o < nOut; o++) {
      let acc = 0;
      for (let b = 0; b < nIn / blockSize; b++) {
        let inner = 0;
        let minInner = 0;
        for (let i = b * blockSize; i < (b + 1) * blockSize; i++) {
          inner += unit * sc[o * nIn + i]! * q.codes[i]!;
          minInner += Math.abs(m[o * nIn + i]!) * q.codes[i]!;
        }
        const da = q.scales[b]!;
        acc = fround(acc + fround(fround((d / unit) * da) * fround(inner)));
        if (HAVE_MINIMA.includes(w.dtype as CodedDType)) {
          const term = fround(fround(dmin * da) * fround(minInner));
          acc = addsMin ? fround(acc + term) : fround(acc - term);
        }
      }
      y[t * nOut + o] = acc;
    }
  }
  return y;
}

describe.each(CODED_DTYPES)('%s', (dtype) => {
  const { blockSize, blockBytes } = DTYPES[dtype];
  const cases = fc.record({
    x: floatSource,
    w: weightSource,
    nTokens: fc.nat(2),
    nOut: fc.nat(3),
    nBlocks: fc.nat(isSuper(dtype) ? 2 : 4),
    d: fc.constantFrom(1, 0.25, 2 ** -12, -0.5, 0),
    dmin: fc.constantFrom(1, 0.125, -2, 0),
  });

  const followsDefinition = (op: typeof linearQ8) =>
    fc.property(cases, ({ x: source, w: weights, nTokens, nOut, nBlocks, d: anyD, dmin }) => {
      const nIn = nBlocks * blockSize;
      const d = dtype === 'mxfp4' ? Math.max(anyD, 2 ** -12) : anyD; // no sign there, and no zero
      const bytes = weightBytes(weights, dtype, nOut, nIn);
      const view = new DataView(bytes.buffer);
      for (let at = 0; at < bytes.length; at += blockBytes) writeScales(dtype, view, at, d, dmin);
      const w: Weight = { name: 'w', dtype, shape: [nOut, nIn], bytes };
      const x = tensor([nTokens, nIn], hardFloats(source, nTokens * nIn, 1));
      return firstBitDifference(op(x, w).data, fromUnpacked(x, w, d, dmin)) === -1;
    });

  test('has the bits of its definition, written from what a block unpacks to', () => {
    fc.assert(followsDefinition(linearQ8), { numRuns: 150, seed: 5 });
  });

  test('mutants: one block too many of 32, sums in f32, minima forgotten', () => {
    const changed = (change: (x: Tensor, w: Weight) => Tensor) =>
      fc.check(followsDefinition(change), { numRuns: 150, seed: 5 }).failed;
    // Rounding the activations in blocks of the other size.
    expect(changed((x, w) => otherBlocks(x, w))).toBe(true);
    if (isSuper(dtype)) expect(changed((x, w) => scaledInF32(x, w))).toBe(true);
    if (codedFormat(dtype).hasMins) expect(changed((x, w) => withoutMins(x, w))).toBe(true);
  });

  test('takes apart what unpack puts together, one rounding at most', () => {
    fc.assert(
      fc.property(weightSource, (source) => {
        const format: CodedFormat = codedFormat(dtype);
        const bytes = weightBytes(source, dtype, 1, blockSize);
        const block = allocCodedBlock(format);
        format.read(bytes, 0, block);
        const values = new Float32Array(blockSize);
        FORMATS[dtype].unpack(bytes, 0, values, 0, blockSize);
        const again = Float32Array.from(block.codes, (c, i) => {
          const j = Math.floor(i / format.subBlockSize);
          const product = block.d * block.scales[j]! * c;
          return format.hasMins ? product - block.dmin * block.mins[j]! : product;
        });
        return firstBitDifference(again, values) === -1;
      }),
    );
  });

  test('the largest integers that a block can give fit 32 bits, and their f32 is their nearest', () => {
    const nIn = blockSize;
    for (const fill of [0x00, 0xff, 0x7f, 0x80, 0xf7, 0x3f]) {
      for (const sign of [1, -1]) {
        const bytes = new Uint8Array(blockBytes).fill(fill);
        writeScales(dtype, new DataView(bytes.buffer), 0, 1, 1);
        const format = codedFormat(dtype);
        const block = allocCodedBlock(format);
        format.read(bytes, 0, block);
        const most = block.codes.reduce(
          (sum, c, i) => sum + Math.abs(c * block.scales[Math.floor(i / format.subBlockSize)]! * 127),
          0,
        );
        expect(most).toBeLessThan(isSuper(dtype) ? 2 ** 28 : 2 ** 24);
        const w: Weight = { name: 'w', dtype, shape: [1, nIn], bytes };
        const x = tensor([1, nIn], new Float32Array(nIn).fill(sign * 127));
        const y = linearQ8(x, w).data;
        expect(firstBitDifference(y, fromUnpacked(x, w, 1, 1))).toBe(-1);
      }
    }
  });

  test('a value that is not finite makes the outputs of its row NaN, and no other', () => {
    const nIn = 2 * blockSize;
    const w: Weight = {
      name: 'w',
      dtype,
      shape: [3, nIn],
      bytes: weightBytes({ values: { seed: 1, kind: 'plain' } }, dtype, 3, nIn),
    };
    for (const bad of [NaN, Infinity, -Infinity]) {
      const x = tensor([2, nIn], new Float32Array(2 * nIn).fill(1));
      x.data[nIn + 3] = bad;
      const y = linear(x, w, 'q8').data;
      expect([...y].map(Number.isNaN)).toEqual([false, false, false, true, true, true]);
    }
  });
});

describe.each(ALL_DTYPES.filter((dtype) => !takesQ8(dtype)))('%s', (dtype) => {
  test('takes activations as they are, in both forms', () => {
    const nIn = isBlockFormat(dtype) ? DTYPES[dtype].blockSize : 7;
    const bytes = weightBytes({ values: { seed: 2, kind: 'plain' } }, dtype, 3, nIn);
    const w: Weight = { name: 'w', dtype, shape: [3, nIn], bytes };
    const x = tensor([2, nIn], hardFloats({ seed: 3, kind: 'plain' }, 2 * nIn));
    const y = linear(x, w, 'q8').data;
    expect(firstBitDifference(y, linear(x, w, 'f32').data)).toBe(-1);
    expect(y.some((v) => v !== 0)).toBe(true);
  });
});

/** x as blocks of the other size would round it: the mutant of a kernel that quantizes for the wrong format. */
function otherBlocks(x: Tensor, w: Weight): Tensor {
  const other = DTYPES[w.dtype].blockSize === 256 ? 32 : 256;
  const [nRows, nIn] = x.shape as [number, number];
  const padded = Math.ceil(nIn / other) * other;
  const rounded = new Float32Array(x.data.length);
  const q = allocQuantizedRow(padded, other);
  for (let t = 0; t < nRows; t++) {
    const row = new Float32Array(padded);
    row.set(x.data.subarray(t * nIn, (t + 1) * nIn));
    quantizeActivations(row, 0, padded, q);
    for (let i = 0; i < nIn; i++) rounded[t * nIn + i] = q.scales[Math.floor(i / other)]! * q.codes[i]!;
  }
  return linearQ8(tensor(x.shape, rounded), w);
}

/** Each sub-block's sum enters f32 by itself: what K-quants must not do. */
function scaledInF32(x: Tensor, w: Weight): Tensor {
  return blockwise(x, w, (format, block, codes, da, acc) => {
    let sum = acc;
    for (let j = 0; j < format.blockSize / format.subBlockSize; j++) {
      let inner = 0;
      let codeSum = 0;
      for (let i = j * format.subBlockSize; i < (j + 1) * format.subBlockSize; i++) {
        inner += block.codes[i]! * codes[i]!;
        codeSum += codes[i]!;
      }
      sum = fround(sum + fround(fround(block.d * da) * block.scales[j]! * inner));
      if (format.hasMins) sum = fround(sum - fround(fround(block.dmin * da) * block.mins[j]! * codeSum));
    }
    return sum;
  });
}

function withoutMins(x: Tensor, w: Weight): Tensor {
  return blockwise(x, w, (format, block, codes, da, acc) => {
    let inner = 0;
    for (let i = 0; i < format.blockSize; i++) {
      inner += block.scales[Math.floor(i / format.subBlockSize)]! * block.codes[i]! * codes[i]!;
    }
    return fround(acc + fround(fround(block.d * da) * fround(inner)));
  });
}

/** A linearQ8 with another way to add one block. */
function blockwise(
  x: Tensor,
  w: Weight,
  addBlock: (
    format: CodedFormat,
    block: ReturnType<typeof allocCodedBlock>,
    codes: Int8Array,
    da: number,
    acc: number,
  ) => number,
): Tensor {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const format = codedFormat(w.dtype);
  const { blockSize, blockBytes } = format;
  const q = allocQuantizedRow(nIn, blockSize);
  const block = allocCodedBlock(format);
  const y = new Float32Array(nRows * nOut);
  for (let t = 0; t < nRows; t++) {
    quantizeActivations(x.data, t * nIn, nIn, q);
    for (let o = 0; o < nOut; o++) {
      let acc = 0;
      for (let b = 0; b < nIn / blockSize; b++) {
        format.read(w.bytes, (o * (nIn / blockSize) + b) * blockBytes, block);
        acc = addBlock(format, block, q.codes.subarray(b * blockSize, (b + 1) * blockSize), q.scales[b]!, acc);
      }
      y[t * nOut + o] = acc;
    }
  }
  return tensor([nRows, nOut], y);
}
