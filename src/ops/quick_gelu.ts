import { exp } from '../core/math.ts';
import { exp32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/** How steep the logistic curve must be to lie near GELU's own. */
export const QUICK_GELU_SLOPE = 1.702;

const SLOPE = fround(QUICK_GELU_SLOPE);

/**
 * y[i] = x[i] / (1 + exp(-1.702 x[i]))
 *
 * x, y: f32, any shape. At large negative x the exponential overflows and the quotient is -0, its limit; -Infinity gives NaN.
 * Source: Hendrycks & Gimpel 2016, "GELUs", section 2 (the sigmoid approximation); CLIP has it: openai/CLIP, clip/model.py.
 */
export function quickGelu(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => fround(v / fround(1 + exp32(-fround(v * SLOPE))))),
  );
}

/** The float64 form. */
export function quickGelu64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => v / (1 + exp(-QUICK_GELU_SLOPE * v))),
  );
}
