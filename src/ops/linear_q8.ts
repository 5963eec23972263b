import { rowBytes } from '../core/dtype.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { allocQuantizedRow, type QuantizedRow, quantizeActivations } from '../quant/activations.ts';
import { allocCodedBlock, type CodedBlock, type CodedFormat } from '../quant/coded_block.ts';
import { codedFormat } from '../quant/codes.ts';

const { fround } = Math;

/**
 * y[t, o] = sum_b (d[o, b] * da[t, b]) * sum_j s[o, j] * sum_{i in sub-block j} c[o, i] * a[t, i]
 *         - sum_b (dmin[o, b] * da[t, b]) * sum_j m[o, j] * sum_{i in sub-block j} a[t, i]
 *
 * The product of a coded weight, w = d * s * c - dmin * m (quant/coded_block.ts), with activations rounded to int8 in blocks of
 * the same length, x ~ da * a (quant/activations.ts). The two inner sums of a block are exact integers, so any instruction may
 * do them in any order. Over blocks, in their order, from +0:
 *   acc = fround(acc + fround(fround(d * da) * fround(inner)))
 *   acc = fround(acc - fround(fround(dmin * da) * fround(minInner)))        in formats that have minima
 *
 * The integers fit 32 bits: |inner| <= 256 * 128 * 32 * 127 < 2^27 (q6_k, the largest), |minInner| <= 256 * 63 * 127 < 2^21.
 * Blocks of 32 stay below 32 * 128 * 127 < 2^24, which f32 holds exactly: there fround(inner) is inner.
 *
 * x: f32 [T, in].  w: [out, in] in a coded format.  y: f32 [T, out], a new buffer.
 * A non-finite activation makes da NaN, and so every output of its row.
 */
export function linearQ8(x: Tensor, w: Weight): Tensor {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const format = codedFormat(w.dtype);
  const { blockSize, blockBytes } = format;
  const rows = Array.from({ length: nRows }, (_, t) => {
    const q = allocQuantizedRow(nIn, blockSize);
    quantizeActivations(x.data, t * nIn, nIn, q);
    return q;
  });
  const y = new Float32Array(nRows * nOut);
  const block = allocCodedBlock(format);
  for (let o = 0; o < nOut; o++) {
    for (let b = 0; b < nIn / blockSize; b++) {
      format.read(w.bytes, o * rowBytes(w.dtype, nIn) + b * blockBytes, block);
      for (let t = 0; t < nRows; t++) {
        const row = rows[t]!;
        const da = row.scales[b]!;
        let acc = y[t * nOut + o]!;
        acc = fround(acc + fround(fround(block.d * da) * fround(innerSum(format, block, row, b))));
        if (format.hasMins) acc = fround(acc - fround(fround(block.dmin * da) * fround(minSum(format, block, row, b))));
        y[t * nOut + o] = acc;
      }
    }
  }
  return tensor([nRows, nOut], y);
}

/** sum_j s[j] * sum_{i in sub-block j} c[i] * a[i] of a weight's block and the row's block b. */
export function innerSum(
  { blockSize, subBlockSize }: CodedFormat,
  w: CodedBlock,
  row: QuantizedRow,
  b: number,
): number {
  let sum = 0;
  for (let first = 0, j = 0; first < blockSize; first += subBlockSize, j++) {
    let dot = 0;
    for (let i = first; i < first + subBlockSize; i++) dot += w.codes[i]! * row.codes[b * blockSize + i]!;
    sum += w.scales[j]! * dot;
  }
  return sum;
}

/** sum_j m[j] * sum_{i in sub-block j} a[i]. */
export function minSum({ blockSize, subBlockSize }: CodedFormat, w: CodedBlock, row: QuantizedRow, b: number): number {
  const sumsPerSubBlock = subBlockSize / row.sumSize;
  const first = (b * blockSize) / row.sumSize;
  let sum = 0;
  for (let part = 0; part < blockSize / row.sumSize; part++) {
    sum += w.mins[Math.floor(part / sumsPerSubBlock)]! * row.sums[first + part]!;
  }
  return sum;
}
