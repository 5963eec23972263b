import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[i] = max(x[i], 0)
 *
 * x, y: f32, any shape; no rounding. -0 gives 0, NaN stays NaN.
 * Source: Nair & Hinton 2010, "Rectified linear units"; Vaswani et al. 2017, eq. 2.
 */
export function relu(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => Math.max(v, 0)),
  );
}

/** The float64 form. */
export function relu64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => Math.max(v, 0)),
  );
}
