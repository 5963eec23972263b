import { tanh } from '../core/math.ts';
import { tanh32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/** sqrt(2 / pi), to nearest. */
const SQRT_TWO_OVER_PI = 0.7978845608028654;
const SQRT_TWO_OVER_PI_F32 = fround(SQRT_TWO_OVER_PI);
/** The cubic term's share: part of the definition. */
const CUBIC = 0.044715;
const CUBIC_F32 = fround(CUBIC);

/**
 * y[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 x[i]^3)))
 *
 * x, y: f32, any shape. The cube is taken as x (1 + 0.044715 x^2), which overflows to the sign of x alone. At large negative x
 * the sum is 0 and the product -0, its limit; -Infinity gives NaN.
 * Source: Hendrycks & Gimpel 2016, "GELUs", section 2 (the approximation). Other names: gelu_new, gelu_pytorch_tanh, NewGELU.
 */
export function geluTanh(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => {
      const cube = fround(1 + fround(CUBIC_F32 * fround(v * v)));
      return fround(fround(v * 0.5) * fround(1 + tanh32(fround(fround(v * SQRT_TWO_OVER_PI_F32) * cube))));
    }),
  );
}

/** The float64 form. */
export function geluTanh64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => v * 0.5 * (1 + tanh(v * SQRT_TWO_OVER_PI * (1 + CUBIC * (v * v))))),
  );
}
