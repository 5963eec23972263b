import { match } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { softmax, softmax64 } from './softmax.ts';
import { allUpTo, type Visible } from './visible.ts';

/**
 * p[t, i] = exp(x[t, i] - max) / sum_i exp(x[t, i] - max)
 *
 * x, p: f32 [T, n]. The softmax of attention (softmax.ts) for rows that see all of themselves: the same sweeps, the same order
 * of the sum. A NaN or +Infinity in a row makes the whole row NaN.
 */
export function softmaxRows(x: Tensor): Tensor {
  return tensor(x.shape, softmax(...asHeads(x)).data);
}

/** The float64 form. */
export function softmaxRows64(x: Tensor<Float64Array>): Tensor<Float64Array> {
  return tensor(x.shape, softmax64(...asHeads(x)).data);
}

/** T rows of n as attention has them: T heads, one new token, n positions, all of them seen. */
export function asHeads<A extends Float32Array | Float64Array>(x: Tensor<A>): [Tensor<A>, Visible] {
  match('x', x.shape, 'T n', {});
  const [nRows, n] = x.shape as [number, number];
  return [tensor([nRows, 1, n], x.data), allUpTo(Int32Array.of(n))];
}
