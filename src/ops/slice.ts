import { ShapeError } from '../core/errors.ts';
import { match, showShape } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[..., i] = x[..., from + i],  i = 0 .. width-1
 *
 * x: [T, n] or [T, nHeads, n].  y: the same with width in the last place, a new buffer. How a merged projection, or a head, is taken apart.
 * Throws ShapeError when from + width is beyond n.
 */
export function slice<A extends Float32Array | Float64Array>(x: Tensor<A>, from: number, width: number): Tensor<A> {
  match('x', x.shape, x.shape.length === 3 ? 'T nHeads n' : 'T n');
  const n = x.shape.at(-1)!;
  const nRows = x.shape.slice(0, -1).reduce((rows, size) => rows * size, 1);
  if (!(from >= 0 && width >= 0 && from + width <= n)) {
    throw new ShapeError(`slice: columns ${from}..${from + width} are outside ${showShape(x.shape)}`);
  }
  const y = x.data.slice(0, nRows * width) as A;
  for (let t = 0; t < nRows; t++) y.set(x.data.subarray(t * n + from, t * n + from + width), t * width);
  return tensor([...x.shape.slice(0, -1), width], y);
}
