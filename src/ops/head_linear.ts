import { match } from '../core/shape.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { expertLinear, expertLinear64 } from './expert_linear.ts';
import type { Activations, Sums } from './linear.ts';

/**
 * y[t, h, o] = sum_k x[t, h, k] * w[h, o, k]
 *
 * x: f32 [T, nHeads, in].  w: [nHeads, out, in] in any stored format.  y: f32 [T, nHeads, out].
 * Each head by a matrix of its own: expert_linear where every row has chosen all, in order. Each product is that of linear.ts.
 * Throws ShapeError when the axes do not fit.
 */
export function headLinear(x: Tensor, w: Weight, activations: Activations, sums: Sums = 'f32'): Tensor {
  const y = expertLinear(asRows(x, w), w, allHeads(x), activations, sums);
  return tensor([...x.shape.slice(0, 2), w.shape[1]!], y.data);
}

/** The float64 form. */
export function headLinear64(x: Tensor<Float64Array>, w: Weight): Tensor<Float64Array> {
  const y = expertLinear64(asRows(x, w), w, allHeads(x));
  return tensor([...x.shape.slice(0, 2), w.shape[1]!], y.data);
}

/** [T, nHeads, in] as [T, nHeads * in]. */
export function asRows<A extends Float32Array | Float64Array>(x: Tensor<A>, w: Weight): Tensor<A> {
  const dims: Record<string, number> = {};
  match('x', x.shape, 'T nHeads in', dims);
  match(w.name, w.shape, 'nHeads out in', dims);
  return tensor([x.shape[0]!, x.shape[1]! * x.shape[2]!], x.data);
}

/** The heads 0 .. nHeads-1 for each row, as experts that it has chosen. */
export function allHeads<A extends Float32Array | Float64Array>(x: Tensor<A>): Tensor<A> {
  const [nRows, nHeads] = x.shape as [number, number, number];
  const n = nRows * nHeads;
  const data = (x.data instanceof Float32Array ? new Float32Array(n) : new Float64Array(n)) as A;
  return tensor([nRows, nHeads], data.map((_, i) => i % nHeads) as A);
}
