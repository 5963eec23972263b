import { ShapeError } from '../core/errors.ts';
import { match } from '../core/shape.ts';
import { dot64 } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import type { Sums } from './linear.ts';
import { softCap64, softCapped } from './soft_cap.ts';
import { assertVisible, seenBy, type Visible } from './visible.ts';

const { fround } = Math;

/**
 * scores[h, t, s] = scale * sum_d q[t, h, d] * k[s, h / group, d]        for the positions s that row t sees, else 0 and never read again
 *
 * q: f32 [T, nHeads, headDim].  k: f32 [S, nKvHeads, headDim], the cached keys of one sequence; group = nHeads / nKvHeads
 * query heads share a kv head.  visible: which positions row t sees (visible.ts); no others are read.
 * scores: f32 [nHeads, T, S].  The sum runs over rising d: acc = fround(acc + fround(q * k)), then fround(acc * scale).
 * sums 'f64': acc = acc + q * k and acc * scale in float64, and one rounding to f32.
 * cap: where there is one, each of these scores is soft_cap(score) (soft_cap.ts), of f32 numbers in between.
 * Throws ShapeError when nHeads is not a multiple of nKvHeads, or a row sees more than S positions.
 * Source: Vaswani et al. 2017, eq. 1; Ainslie et al. 2023, "GQA".
 */
export function attendScores(
  q: Tensor,
  k: Tensor,
  visible: Visible,
  scale: number,
  cap?: number,
  sums: Sums = 'f32',
): Tensor {
  const { nRows, nHeads, headDim, nPositions, nKvHeads, group } = attendDims(q, k, visible);
  const scores = new Float32Array(nHeads * nRows * nPositions);
  const f32Scale = fround(scale);
  for (let h = 0; h < nHeads; h++) {
    const kvHead = Math.floor(h / group);
    for (let t = 0; t < nRows; t++) {
      for (const [from, until] of seenBy(visible, t)) {
        for (let s = from; s < until; s++) {
          let acc = 0;
          for (let d = 0; d < headDim; d++) {
            const a = q.data[(t * nHeads + h) * headDim + d]!;
            const b = k.data[(s * nKvHeads + kvHead) * headDim + d]!;
            acc = sums === 'f64' ? acc + a * b : fround(acc + fround(a * b));
          }
          const score = fround(acc * f32Scale);
          scores[(h * nRows + t) * nPositions + s] = cap === undefined ? score : softCapped(score, fround(cap));
        }
      }
    }
  }
  return tensor([nHeads, nRows, nPositions], scores);
}

/** The float64 form: compensated dot products, and scale and cap as they are (f32 rounds them). */
export function attendScores64(
  q: Tensor<Float64Array>,
  k: Tensor<Float64Array>,
  visible: Visible,
  scale: number,
  cap?: number,
): Tensor<Float64Array> {
  const { nRows, nHeads, headDim, nPositions, nKvHeads, group } = attendDims(q, k, visible);
  const scores = new Float64Array(nHeads * nRows * nPositions);
  for (let h = 0; h < nHeads; h++) {
    const kvHead = Math.floor(h / group);
    for (let t = 0; t < nRows; t++) {
      for (const [from, until] of seenBy(visible, t)) {
        for (let s = from; s < until; s++) {
          const dot = dot64(q.data, (t * nHeads + h) * headDim, k.data, (s * nKvHeads + kvHead) * headDim, headDim);
          scores[(h * nRows + t) * nPositions + s] = dot * scale;
        }
      }
    }
  }
  const all = tensor([nHeads, nRows, nPositions], scores);
  return cap === undefined ? all : softCap64(all, cap); // 0 stays 0 where nothing is seen
}

function attendDims(q: Tensor<Float32Array | Float64Array>, k: Tensor<Float32Array | Float64Array>, visible: Visible) {
  const dims: Record<string, number> = { T: visible.lengths.length };
  match('q', q.shape, 'T nHeads headDim', dims);
  match('k', k.shape, 'S nKvHeads headDim', dims);
  const {
    T: nRows,
    nHeads,
    headDim,
    S: nPositions,
    nKvHeads,
  } = dims as Record<'T' | 'nHeads' | 'headDim' | 'S' | 'nKvHeads', number>;
  if (nHeads % nKvHeads !== 0)
    throw new ShapeError(`attend: nHeads ${nHeads} is not a multiple of nKvHeads ${nKvHeads}`);
  assertVisible(visible, nPositions);
  return { nRows, nHeads, headDim, nPositions, nKvHeads, group: nHeads / nKvHeads };
}
