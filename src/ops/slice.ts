import { ShapeError } from '../core/errors.ts';
import { match, showShape } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

/**
 * y[t, i] = x[t, from + i],  i = 0 .. width-1
 *
 * x: [T, n].  y: [T, width], a new buffer. How a merged projection is taken apart again.
 * Throws ShapeError when from + width is beyond n.
 */
export function slice<A extends Float32Array | Float64Array>(x: Tensor<A>, from: number, width: number): Tensor<A> {
  match('x', x.shape, 'T n');
  const [nRows, n] = x.shape as [number, number];
  if (!(from >= 0 && width >= 0 && from + width <= n)) {
    throw new ShapeError(`slice: columns ${from}..${from + width} are outside ${showShape(x.shape)}`);
  }
  const y = x.data.slice(0, nRows * width) as A;
  for (let t = 0; t < nRows; t++) y.set(x.data.subarray(t * n + from, t * n + from + width), t * width);
  return tensor([nRows, width], y);
}
