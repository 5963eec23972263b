import type { Tensor } from '../core/tensor.ts';
import { add, add64 } from './add.ts';
import { concat } from './concat.ts';
import { rmsNorm, rmsNorm64 } from './rms_norm.ts';

/**
 * y[t] = s[t] | rms_norm(s)[t],  s = a + b: rows of the sum, and behind each the norm of it.
 *
 * a, b: f32 [T, dim].  y: f32 [T, 2 * dim], a new buffer.  g: f32 [dim].  eps: added inside the norm's root. The roundings are those of add,
 * then of rms_norm.
 * Throws ShapeError when a and b differ in shape, or g is not [dim].
 */
export function residualNorm(a: Tensor, b: Tensor, g: Tensor, eps: number): Tensor {
  const sum = add(a, b);
  return concat(sum, rmsNorm(sum, g, eps));
}

/** The float64 form. */
export function residualNorm64(
  a: Tensor<Float64Array>,
  b: Tensor<Float64Array>,
  g: Tensor<Float64Array>,
  eps: number,
): Tensor<Float64Array> {
  const sum = add64(a, b);
  return concat(sum, rmsNorm64(sum, g, eps));
}
