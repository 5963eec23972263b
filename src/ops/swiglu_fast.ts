import type { Tensor } from '../core/tensor.ts';
import { mul, mul64 } from './mul.ts';
import { siluFast, siluFast64 } from './silu_fast.ts';

/**
 * y[i] = silu_fast(gate[i]) * up[i]
 *
 * gate, up, y: f32, one shape. Nothing but the two ops one after the other, so the same roundings and the same bits. The approximate pass
 * cheap_silu leaves it; no model asks for it.
 * Throws ShapeError when the shapes differ.
 */
export function swigluFast(gate: Tensor, up: Tensor): Tensor {
  return mul(siluFast(gate), up);
}

/** The float64 form: that of swiglu itself. */
export function swigluFast64(gate: Tensor<Float64Array>, up: Tensor<Float64Array>): Tensor<Float64Array> {
  return mul64(siluFast64(gate), up);
}
