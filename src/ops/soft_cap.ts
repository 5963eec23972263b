import { tanh } from '../core/math.ts';
import { tanh32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * y[i] = cap * tanh(x[i] / cap): nearly x near 0, and never beyond +-cap
 *
 * x, y: f32, any shape.  cap: above 0; f32 rounds it. Three roundings: fround(cap * tanh32(fround(x / cap))).
 * Source: Gemma Team 2024, "Gemma 2", section 2, "Logit soft-capping".
 */
export function softCap(x: Tensor, cap: number): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => softCapped(v, fround(cap))),
  );
}

/** One number. cap: an f32. */
export function softCapped(x: number, cap: number): number {
  return fround(cap * tanh32(fround(x / cap)));
}

/** The float64 form: the cap as it is. */
export function softCap64(x: Tensor<Float64Array>, cap: number): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => cap * tanh(v / cap)),
  );
}
