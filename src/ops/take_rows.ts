import { ShapeError } from '../core/errors.ts';
import { match } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[r, i] = x[rows[r], i]
 *
 * x: [T, dim].  rows: [R], indices into T, for the rows whose logits are asked for.  y: [R, dim], a new buffer.
 * Throws ShapeError when a row is not in 0..T-1.
 */
export function takeRows<A extends Float32Array | Float64Array>(x: Tensor<A>, rows: Int32Array): Tensor<A> {
  match('x', x.shape, 'T dim');
  const [nRows, dim] = x.shape as [number, number];
  const y = (
    x.data instanceof Float32Array ? new Float32Array(rows.length * dim) : new Float64Array(rows.length * dim)
  ) as A;
  for (let r = 0; r < rows.length; r++) {
    const t = rows[r]!;
    if (!(t >= 0 && t < nRows)) throw new ShapeError(`take_rows: row ${t} is outside 0..${nRows - 1}`);
    y.set(x.data.subarray(t * dim, (t + 1) * dim), r * dim);
  }
  return tensor([rows.length, dim], y);
}
