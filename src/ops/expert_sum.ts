import { match } from '../core/shape.ts';
import { dot64 } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[t, i] = sum_j weights[t, j] * x[t, j * dim + i]
 *
 * x: f32 [T, nChosen * dim], what a token's experts gave.  weights: f32 [T, nChosen].  y: f32 [T, dim].
 * The sum runs over rising j, the order of the choice, acc = fround(acc + fround(w * x)), from +0.
 * Error: gamma(nChosen) * sum |w||x|.  Source: Higham 2002, 3.1.
 */
export function expertSum(x: Tensor, weights: Tensor): Tensor {
  const { nRows, nChosen, dim } = checkShapes(x, weights);
  const y = new Float32Array(nRows * dim);
  for (let t = 0; t < nRows; t++) {
    for (let i = 0; i < dim; i++) {
      let acc = 0;
      for (let j = 0; j < nChosen; j++) {
        acc = fround(acc + fround(weights.data[t * nChosen + j]! * x.data[(t * nChosen + j) * dim + i]!));
      }
      y[t * dim + i] = acc;
    }
  }
  return tensor([nRows, dim], y);
}

/** The float64 form: compensated dot products. */
export function expertSum64(x: Tensor<Float64Array>, weights: Tensor<Float64Array>): Tensor<Float64Array> {
  const { nRows, nChosen, dim } = checkShapes(x, weights);
  const y = new Float64Array(nRows * dim);
  const column = new Float64Array(nChosen);
  for (let t = 0; t < nRows; t++) {
    for (let i = 0; i < dim; i++) {
      for (let j = 0; j < nChosen; j++) column[j] = x.data[(t * nChosen + j) * dim + i]!;
      y[t * dim + i] = dot64(weights.data, t * nChosen, column, 0, nChosen);
    }
  }
  return tensor([nRows, dim], y);
}

function checkShapes(x: Tensor<Float32Array | Float64Array>, weights: Tensor<Float32Array | Float64Array>) {
  const dims: Record<string, number> = {};
  match('weights', weights.shape, 'T nChosen', dims);
  match('x', x.shape, 'T width', dims);
  const [nRows, nChosen] = weights.shape as [number, number];
  const dim = Math.floor(x.shape[1]! / nChosen);
  match('x', x.shape, 'T parts', { ...dims, parts: nChosen * dim });
  return { nRows, nChosen, dim };
}
