import { type Tensor, tensor } from '../core/tensor.ts';
import { sameShape } from './same_shape.ts';

/** y[i] = a[i] * b[i]; any shape, the same for both; one rounding in f32. Throws ShapeError when the shapes differ. */
export function mul(a: Tensor, b: Tensor): Tensor {
  sameShape('mul', a.shape, b.shape);
  return tensor(
    a.shape,
    a.data.map((v, i) => v * b.data[i]!),
  );
}

/** The float64 form. */
export function mul64(a: Tensor<Float64Array>, b: Tensor<Float64Array>): Tensor<Float64Array> {
  sameShape('mul', a.shape, b.shape);
  return tensor(
    a.shape,
    a.data.map((v, i) => v * b.data[i]!),
  );
}
