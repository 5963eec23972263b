import { erf } from '../core/math.ts';
import { erf32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround, SQRT1_2 } = Math;

const SQRT_HALF = fround(SQRT1_2);

/**
 * y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2)))
 *
 * x, y: f32, any shape. At large negative x the sum is 0 and the product -0, its limit; -Infinity gives NaN.
 * Source: Hendrycks & Gimpel 2016, "GELUs", section 2 (the exact form).
 */
export function gelu(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => fround(fround(v * 0.5) * fround(1 + erf32(fround(v * SQRT_HALF))))),
  );
}

/** The float64 form. */
export function gelu64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => v * 0.5 * (1 + erf(v * SQRT1_2))),
  );
}
