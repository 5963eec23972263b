import { tanh } from '../core/math.ts';
import { tanh32 } from '../core/math_f32.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[i] = tanh(x[i])
 *
 * x, y: f32, any shape. The pooler of BERT's classifiers has it, and no other part of a model that is run here.
 * Source: Devlin et al. 2018, "BERT"; google-research/bert modeling.py, "pooler".
 */
export function tanhOf(x: Tensor): Tensor {
  return tensor(
    x.shape,
    x.data.map((v) => tanh32(v)),
  );
}

/** The float64 form. */
export function tanhOf64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(
    x.shape,
    x.data.map((v) => tanh(v)),
  );
}
