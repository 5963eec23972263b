import { exp } from '../core/math.ts';
import { exp32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[i] = 1 / (1 + exp(-x[i]))
 *
 * x, y: f32, any shape. At large negative x the exponential overflows and the quotient is +0, its limit.
 */
export function sigmoid(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => fround(1 / fround(1 + exp32(-v)))),
  );
}

/** The float64 form. */
export function sigmoid64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => 1 / (1 + exp(-v))),
  );
}
