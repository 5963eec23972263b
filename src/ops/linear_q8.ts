import { DTYPES, rowBytes } from '../core/dtype.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { allocQuantizedRow, quantizeActivations } from '../quant/activations.ts';
import { readCodes } from '../quant/codes.ts';

const { fround } = Math;

/**
 * y[t, o] = sum_b (dw[o, b] * da[t, b]) * sum_{i in block b} cw[o, i] * ca[t, i]
 *
 * The product of a block-format weight with activations rounded to int8 blocks (quant/activations.ts):
 * w = dw * cw, x ~ da * ca. The inner sum is an exact integer, so any instruction may do it in any order. Over blocks:
 *   acc = fround(acc + fround(fround(dw * da) * inner)), in block order, from +0.
 *
 * x: f32 [T, in].  w: [out, in], q8_0 or q4_0.  y: f32 [T, out], a new buffer.
 * A non-finite activation makes da NaN, and so every output of its row.
 */
export function linearQ8(x: Tensor, w: Weight): Tensor {
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const { blockSize, blockBytes } = DTYPES[w.dtype];
  const nBlocks = nIn / blockSize;
  const rows = Array.from({ length: nRows }, (_, t) => {
    const q = allocQuantizedRow(nIn);
    quantizeActivations(x.data, t * nIn, nIn, q);
    return q;
  });
  const y = new Float32Array(nRows * nOut);
  const weightCodes = new Int8Array(blockSize);
  for (let o = 0; o < nOut; o++) {
    for (let b = 0; b < nBlocks; b++) {
      const dw = readCodes(w.dtype, w.bytes, o * rowBytes(w.dtype, nIn) + b * blockBytes, weightCodes);
      for (let t = 0; t < nRows; t++) {
        const { codes, scales } = rows[t]!;
        let inner = 0;
        for (let i = 0; i < blockSize; i++) inner += weightCodes[i]! * codes[b * blockSize + i]!;
        const scale = fround(dw * scales[b]!);
        y[t * nOut + o] = fround(y[t * nOut + o]! + fround(scale * inner));
      }
    }
  }
  return tensor([nRows, nOut], y);
}
