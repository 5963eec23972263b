import { exp } from '../core/math.ts';
import { exp32 } from '../core/math_f32.ts';
import { match } from '../core/shape.ts';
import { maxRow, sum64, sumRow } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { assertVisible, seenBy, type Visible } from './visible.ts';

const { fround } = Math;

/**
 * p[h, t, s] = exp(x[h, t, s] - max) / sum_s exp(x[h, t, s] - max)        over the positions s that row t sees, else 0
 *
 * x, p: f32 [nHeads, T, S].  Three sweeps (max, exp, sum), no running rescale; the sum is in the stated order of
 * core/sum.ts, where s is the index. Positions that a row does not see (visible.ts) are not read: they may hold anything, NaN included.
 * A NaN or +Infinity within the row makes the whole row NaN.
 * Throws ShapeError when a row sees more than S positions.
 */
export function softmax(x: Tensor, visible: Visible): Tensor {
  match('x', x.shape, 'nHeads T S', { T: visible.lengths.length });
  const [nHeads, nRows, nPositions] = x.shape as [number, number, number];
  assertVisible(visible, nPositions);
  const p = new Float32Array(x.data.length);
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nRows; t++) {
      const row = (h * nRows + t) * nPositions;
      const seen = seenBy(visible, t);
      const max = Math.max(...seen.map(([from, until]) => maxRow(x.data, row + from, until - from)));
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) p[row + s] = exp32(fround(x.data[row + s]! - max));
      }
      const sum = sumRow(p, row, visible.lengths[t]!); // +0 where nothing is seen: it changes no lane
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) p[row + s] = fround(p[row + s]! / sum);
      }
    }
  }
  return tensor(x.shape, p);
}

/** The float64 form, with a compensated sum. */
export function softmax64(x: Tensor<Float64Array>, visible: Visible): Tensor<Float64Array> {
  match('x', x.shape, 'nHeads T S', { T: visible.lengths.length });
  const [nHeads, nRows, nPositions] = x.shape as [number, number, number];
  assertVisible(visible, nPositions);
  const p = new Float64Array(x.data.length);
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nRows; t++) {
      const row = (h * nRows + t) * nPositions;
      const seen = seenBy(visible, t);
      const max = Math.max(...seen.map(([from, until]) => maxRow(x.data, row + from, until - from)));
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) p[row + s] = exp(x.data[row + s]! - max);
      }
      const sum = sum64(p, row, visible.lengths[t]!);
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) p[row + s] = p[row + s]! / sum;
      }
    }
  }
  return tensor(x.shape, p);
}
