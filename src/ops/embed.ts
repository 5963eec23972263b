import { rowBytes } from '../core/dtype.ts';
import { match } from '../core/shape.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { FORMATS } from '../quant/formats.ts';
import { assertIds } from './ids.ts';

/**
 * y[t, i] = table[ids[t], i]
 *
 * ids: [T].  table: any stored format, [vocab, dim], unpacked exactly.  y: f32 [T, dim], a new buffer.
 * Throws ShapeError when an id is not in 0..vocab-1.
 */
export function embed(ids: Int32Array, table: Weight): Tensor {
  match('embedding table', table.shape, 'vocab dim');
  const [vocab, dim] = table.shape as [number, number];
  assertIds(ids, vocab);
  const y = new Float32Array(ids.length * dim);
  const nBytes = rowBytes(table.dtype, dim);
  for (let t = 0; t < ids.length; t++) {
    FORMATS[table.dtype].unpack(table.bytes, ids[t]! * nBytes, y, t * dim, dim);
  }
  return tensor([ids.length, dim], y);
}

/** The float64 form: the same values, since unpacking is exact. */
export function embed64(ids: Int32Array, table: Weight): Tensor<Float64Array> {
  const y = embed(ids, table);
  return tensor(y.shape, Float64Array.from(y.data));
}
