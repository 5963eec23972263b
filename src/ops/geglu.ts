import type { Tensor } from '../core/tensor.ts';
import { gelu, gelu64 } from './gelu.ts';
import { mul, mul64 } from './mul.ts';

/**
 * y[i] = gelu(gate[i]) * up[i]
 *
 * gate, up, y: f32, one shape. Nothing but the two ops one after the other, so the same roundings and the same bits.
 * Throws ShapeError when the shapes differ.
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 6 (GEGLU).
 */
export function geglu(gate: Tensor, up: Tensor): Tensor {
  return mul(gelu(gate), up);
}

/** The float64 form. */
export function geglu64(gate: Tensor<Float64Array>, up: Tensor<Float64Array>): Tensor<Float64Array> {
  return mul64(gelu64(gate), up);
}
