import type { Tensor } from '../core/tensor.ts';
import { geluTanh, geluTanh64 } from './gelu_tanh.ts';
import { mul, mul64 } from './mul.ts';

/**
 * y[i] = gelu_tanh(gate[i]) * up[i]
 *
 * gate, up, y: f32, one shape. Nothing but the two ops one after the other, so the same roundings and the same bits.
 * Throws ShapeError when the shapes differ.
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 6 (GEGLU), with the activation that T5 1.1 and Gemma have there.
 */
export function gegluTanh(gate: Tensor, up: Tensor): Tensor {
  return mul(geluTanh(gate), up);
}

/** The float64 form. */
export function gegluTanh64(gate: Tensor<Float64Array>, up: Tensor<Float64Array>): Tensor<Float64Array> {
  return mul64(geluTanh64(gate), up);
}
