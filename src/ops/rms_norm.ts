import { match, type Shape, sizeOf } from '../core/shape.ts';
import { sum64, sumSquaresRow } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[t, i] = g[i] * x[t, i] / sqrt(mean_i(x[t, i]^2) + eps)
 *
 * x, y: f32 [T, dim], or [T, nHeads, headDim], where each head is a row of its own.  g: f32 [dim] (or [headDim]).  eps: added
 * inside the root. The squares are added in the stated order of core/sum.ts.
 * Throws ShapeError when g is not [dim].
 * Source: Zhang & Sennrich 2019, "Root Mean Square Layer Normalization", eq. 4.
 */
export function rmsNorm(x: Tensor, g: Tensor, eps: number): Tensor {
  const { nRows, dim } = normDims(x.shape, g.shape);
  const y = new Float32Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    const mean = fround(sumSquaresRow(x.data, t * dim, dim) / dim);
    const r = fround(1 / fround(Math.sqrt(fround(mean + fround(eps)))));
    for (let i = 0; i < dim; i++) y[t * dim + i] = fround(fround(x.data[t * dim + i]! * r) * g.data[i]!);
  }
  return tensor(x.shape, y);
}

/** The float64 form, with a compensated sum. */
export function rmsNorm64(x: Tensor<Float64Array>, g: Tensor<Float64Array>, eps: number): Tensor<Float64Array> {
  const { nRows, dim } = normDims(x.shape, g.shape);
  const y = new Float64Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    const squares = x.data.subarray(t * dim, (t + 1) * dim).map((v) => v * v);
    const r = 1 / Math.sqrt(sum64(squares, 0, dim) / dim + eps);
    for (let i = 0; i < dim; i++) y[t * dim + i] = x.data[t * dim + i]! * r * g.data[i]!;
  }
  return tensor(x.shape, y);
}

function normDims(x: Shape, g: Shape): { nRows: number; dim: number } {
  const dims: Record<string, number> = {};
  match('x', x, x.length === 3 ? 'T nHeads dim' : 'T dim', dims);
  match('g', g, 'dim', dims);
  return { nRows: sizeOf(x.slice(0, -1)), dim: x.at(-1)! };
}
