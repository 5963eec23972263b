import type { Tensor } from '../core/tensor.ts';
import { mul, mul64 } from './mul.ts';
import { silu, silu64 } from './silu.ts';

/**
 * y[i] = silu(gate[i]) * up[i]
 *
 * gate, up, y: f32, one shape. Nothing but the two ops one after the other, so the same roundings and the same bits.
 * Throws ShapeError when the shapes differ.
 * Source: Shazeer 2020, "GLU Variants Improve Transformer", eq. 6 (SwiGLU).
 */
export function swiglu(gate: Tensor, up: Tensor): Tensor {
  return mul(silu(gate), up);
}

/** The float64 form. */
export function swiglu64(gate: Tensor<Float64Array>, up: Tensor<Float64Array>): Tensor<Float64Array> {
  return mul64(silu64(gate), up);
}
