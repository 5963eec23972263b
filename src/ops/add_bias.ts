import { match, type Shape } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/** y[t, i] = x[t, i] + b[i].  x, y: [T, n].  b: [n]. One rounding in f32. Throws ShapeError when b is not [n]. */
export function addBias(x: Tensor, b: Tensor): Tensor {
  const n = biasLength(x.shape, b.shape);
  return tensor(
    x.shape,
    x.data.map((v, i) => v + b.data[i % n]!),
  );
}

/** The float64 form. */
export function addBias64(x: Tensor<Float64Array>, b: Tensor<Float64Array>): Tensor<Float64Array> {
  const n = biasLength(x.shape, b.shape);
  return tensor(
    x.shape,
    x.data.map((v, i) => v + b.data[i % n]!),
  );
}

function biasLength(x: Shape, b: Shape): number {
  const dims: Record<string, number> = {};
  match('x', x, 'T n', dims);
  match('b', b, 'n', dims);
  return b[0]!;
}
