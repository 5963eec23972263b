import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[i] = x[i] * by
 *
 * x, y: f32, any shape.  by: f32 rounds it. Gemma multiplies its embeddings so, by the root of dim.
 */
export function scale(x: Tensor, by: number): Tensor {
  const f32By = fround(by);
  return tensor(
    x.shape,
    x.data.map((v) => fround(v * f32By)),
  );
}

/** The float64 form: the factor as it is. */
export function scale64(x: Tensor<Float64Array>, by: number): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => v * by),
  );
}
