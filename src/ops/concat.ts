import { match } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[..., i] = a[..., i] for i < n, b[..., i - n] behind
 *
 * a: [..., n].  b: [..., m], the axes before the last as a's.  y: [..., n + m], a new buffer.
 * Throws ShapeError when they differ in another axis than the last.
 */
export function concat<A extends Float32Array | Float64Array>(a: Tensor<A>, b: Tensor<A>): Tensor<A> {
  const [n, m] = [a.shape.at(-1)!, b.shape.at(-1)!];
  match('b', b.shape, [...a.shape.slice(0, -1), m].join(' '));
  const nRows = a.shape.slice(0, -1).reduce((rows, size) => rows * size, 1);
  const data = (
    a.data instanceof Float32Array ? new Float32Array(nRows * (n + m)) : new Float64Array(nRows * (n + m))
  ) as A;
  for (let row = 0; row < nRows; row++) {
    data.set(a.data.subarray(row * n, (row + 1) * n), row * (n + m));
    data.set(b.data.subarray(row * m, (row + 1) * m), row * (n + m) + n);
  }
  return tensor([...a.shape.slice(0, -1), n + m], data);
}
