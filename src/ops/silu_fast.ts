import { expFast32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { silu64 } from './silu.ts';

const { fround } = Math;

/**
 * y[i] = x[i] / (1 + exp(-x[i])), the exponential by a polynomial of degree 3: off by at most 1.23e-4 of y and a few roundings.
 *
 * x, y: f32, any shape. The approximate pass cheap_silu puts it in; no model asks for it.
 */
export function siluFast(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => fround(v / fround(1 + expFast32(-v)))),
  );
}

/** The float64 form: what is approximated, silu itself. */
export function siluFast64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return silu64(x);
}
