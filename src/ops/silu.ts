import { exp } from '../core/math.ts';
import { exp32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[i] = x[i] / (1 + exp(-x[i]))
 *
 * x, y: f32, any shape. At large negative x the exponential overflows and the quotient is -0, its limit.
 * Source: Hendrycks & Gimpel 2016, "GELUs", section 4 (SiLU).
 */
export function silu(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => fround(v / fround(1 + exp32(-v)))),
  );
}

/** The float64 form. */
export function silu64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => v / (1 + exp(-v))),
  );
}
