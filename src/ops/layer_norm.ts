import { match, type Shape } from '../core/shape.ts';
import { sum64, sumRow, sumSquaresRow } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[t, i] = g[i] * (x[t, i] - m[t]) / sqrt(mean_i((x[t, i] - m[t])^2) + eps) + b[i],  m[t] = mean_i(x[t, i])
 *
 * x, y: f32 [T, dim].  g, b: f32 [dim].  eps: added inside the root. Two passes over a row: the squares are those of the
 * differences from its mean, and both sums have the stated order of core/sum.ts.
 * Throws ShapeError when g or b is not [dim].
 * Source: Ba, Kiros & Hinton 2016, "Layer Normalization", eq. 4.
 */
export function layerNorm(x: Tensor, g: Tensor, b: Tensor, eps: number): Tensor {
  const { nRows, dim } = normDims(x.shape, g.shape, b.shape);
  const y = new Float32Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    const mean = fround(sumRow(x.data, t * dim, dim) / dim);
    const d = x.data.subarray(t * dim, (t + 1) * dim).map((v) => v - mean); // storing into it is the rounding
    const variance = fround(sumSquaresRow(d, 0, dim) / dim);
    const r = fround(1 / fround(Math.sqrt(fround(variance + fround(eps)))));
    for (let i = 0; i < dim; i++) y[t * dim + i] = fround(fround(fround(d[i]! * r) * g.data[i]!) + b.data[i]!);
  }
  return tensor(x.shape, y);
}

/** The float64 form, with compensated sums. */
export function layerNorm64(
  x: Tensor<Float64Array>,
  g: Tensor<Float64Array>,
  b: Tensor<Float64Array>,
  eps: number,
): Tensor<Float64Array> {
  const { nRows, dim } = normDims(x.shape, g.shape, b.shape);
  const y = new Float64Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    const mean = sum64(x.data, t * dim, dim) / dim;
    const d = x.data.subarray(t * dim, (t + 1) * dim).map((v) => v - mean);
    const squares = d.map((v) => v * v);
    const r = 1 / Math.sqrt(sum64(squares, 0, dim) / dim + eps);
    for (let i = 0; i < dim; i++) y[t * dim + i] = d[i]! * r * g.data[i]! + b.data[i]!;
  }
  return tensor(x.shape, y);
}

function normDims(x: Shape, g: Shape, b: Shape): { nRows: number; dim: number } {
  const dims: Record<string, number> = {};
  match('x', x, 'T dim', dims);
  match('g', g, 'dim', dims);
  match('b', b, 'dim', dims);
  return { nRows: x[0]!, dim: x[1]! };
}
