import { ShapeError } from '../core/errors.ts';
import { match } from '../core/shape.ts';
import { dot64 } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { assertVisible, seenBy, type Visible } from './visible.ts';

const { fround } = Math;

/**
 * y[t, h, d] = sum_s p[h, t, s] * v[s, h / group, d]        over the positions s that row t sees
 *
 * p: f32 [nHeads, T, S], rows of softmax.  v: f32 [S, nKvHeads, headDim], the cached values of one sequence.
 * y: f32 [T, nHeads, headDim].  The sum runs over rising s: acc = fround(acc + fround(p * v)), from +0. Positions that
 * a row does not see (visible.ts) are not read (0 x NaN is NaN).
 * Throws ShapeError when nHeads is not a multiple of nKvHeads, or a row sees more than S positions.
 * Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023, "GQA".
 */
export function attendMix(p: Tensor, v: Tensor, visible: Visible): Tensor {
  const { nRows, nHeads, headDim, nPositions, nKvHeads, group } = mixDims(p, v, visible);
  const y = new Float32Array(nRows * nHeads * headDim);
  for (let t = 0; t < nRows; t++) {
    const seen = seenBy(visible, t);
    for (let h = 0; h < nHeads; h++) {
      const kvHead = Math.floor(h / group);
      for (let d = 0; d < headDim; d++) {
        let acc = 0;
        for (const [from, until] of seen) {
          for (let s = from; s < until; s++) {
            const a = p.data[(h * nRows + t) * nPositions + s]!;
            acc = fround(acc + fround(a * v.data[(s * nKvHeads + kvHead) * headDim + d]!));
          }
        }
        y[(t * nHeads + h) * headDim + d] = acc;
      }
    }
  }
  return tensor([nRows, nHeads, headDim], y);
}

/** The float64 form: compensated sums. */
export function attendMix64(p: Tensor<Float64Array>, v: Tensor<Float64Array>, visible: Visible): Tensor<Float64Array> {
  const { nRows, nHeads, headDim, nPositions, nKvHeads, group } = mixDims(p, v, visible);
  const y = new Float64Array(nRows * nHeads * headDim);
  const weights = new Float64Array(nPositions);
  const column = new Float64Array(nPositions);
  for (let t = 0; t < nRows; t++) {
    const seen = seenBy(visible, t);
    for (let h = 0; h < nHeads; h++) {
      const kvHead = Math.floor(h / group);
      for (let d = 0; d < headDim; d++) {
        let n = 0;
        for (const [from, until] of seen) {
          for (let s = from; s < until; s++, n++) {
            weights[n] = p.data[(h * nRows + t) * nPositions + s]!;
            column[n] = v.data[(s * nKvHeads + kvHead) * headDim + d]!;
          }
        }
        y[(t * nHeads + h) * headDim + d] = dot64(weights, 0, column, 0, n);
      }
    }
  }
  return tensor([nRows, nHeads, headDim], y);
}

function mixDims(p: Tensor<Float32Array | Float64Array>, v: Tensor<Float32Array | Float64Array>, visible: Visible) {
  const dims: Record<string, number> = { T: visible.lengths.length };
  match('p', p.shape, 'nHeads T S', dims);
  match('v', v.shape, 'S nKvHeads headDim', dims);
  const [nHeads, nRows, nPositions] = p.shape as [number, number, number];
  const [, nKvHeads, headDim] = v.shape as [number, number, number];
  if (nHeads % nKvHeads !== 0)
    throw new ShapeError(`attend: nHeads ${nHeads} is not a multiple of nKvHeads ${nKvHeads}`);
  assertVisible(visible, nPositions);
  return { nRows, nHeads, headDim, nPositions, nKvHeads, group: nHeads / nKvHeads };
}
