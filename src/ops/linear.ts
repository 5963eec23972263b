import { rowBytes } from '../core/dtype.ts';
import { match } from '../core/shape.ts';
import { dot64 } from '../core/sum.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { takesQ8 } from '../quant/codes.ts';
import { FORMATS } from '../quant/formats.ts';
import { linearQ8 } from './linear_q8.ts';

const { fround } = Math;

/** How activations enter a `linear` whose weights are in a coded format (quant/codes.ts): fixed when the graph is built, never by a pass. */
export type Activations = 'q8' | 'f32';

/** In what the sums of products of f32 are held: each addition rounded to f32, or all of them in float64 and one rounding at the end. */
export type Sums = 'f32' | 'f64';

/** What an op that sums products carries where its sums are wide: fixed when the graph is built, never by a pass. */
export interface Summed {
  readonly sums?: 'f64';
}

/**
 * y[t, o] = sum_k x[t, k] * w[o, k]
 *
 * x: f32 [T, in].  w: [out, in] in any stored format.  y: f32 [T, out], a new buffer.
 * With activations 'f32', and for formats that have no integer codes: weights are unpacked exactly and the sum runs over
 * rising k in f32, acc = fround(acc + fround(x * w)), from +0; with sums 'f64', acc = acc + x * w in float64 (the product is
 * exact), and one rounding to f32 at the end. Coded formats (quant/codes.ts) with activations 'q8': see
 * linear_q8.ts.
 * Throws ShapeError when the inner axes differ.
 * Error against the exact dot product: gamma(in) * sum |x||w|.  Source: Higham 2002, 3.1.
 */
export function linear(x: Tensor, w: Weight, activations: Activations, sums: Sums = 'f32'): Tensor {
  const dims: Record<string, number> = {};
  match('x', x.shape, 'T in', dims);
  match(w.name, w.shape, 'out in', dims);
  if (activations === 'q8' && takesQ8(w.dtype)) return linearQ8(x, w);
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const y = new Float32Array(nRows * nOut);
  const row = new Float32Array(nIn);
  const nBytes = rowBytes(w.dtype, nIn);
  for (let o = 0; o < nOut; o++) {
    FORMATS[w.dtype].unpack(w.bytes, o * nBytes, row, 0, nIn);
    for (let t = 0; t < nRows; t++) {
      let acc = 0;
      if (sums === 'f64') for (let k = 0; k < nIn; k++) acc += x.data[t * nIn + k]! * row[k]!;
      else for (let k = 0; k < nIn; k++) acc = fround(acc + fround(x.data[t * nIn + k]! * row[k]!));
      y[t * nOut + o] = acc; // storing it is the rounding
    }
  }
  return tensor([nRows, nOut], y);
}

/** The float64 form: compensated dot products. Activation quantization is the identity here: this is the truth for both forms. */
export function linear64(x: Tensor<Float64Array>, w: Weight): Tensor<Float64Array> {
  const dims: Record<string, number> = {};
  match('x', x.shape, 'T in', dims);
  match(w.name, w.shape, 'out in', dims);
  const [nRows, nIn] = x.shape as [number, number];
  const nOut = w.shape[0]!;
  const y = new Float64Array(nRows * nOut);
  const row = new Float32Array(nIn);
  const nBytes = rowBytes(w.dtype, nIn);
  for (let o = 0; o < nOut; o++) {
    FORMATS[w.dtype].unpack(w.bytes, o * nBytes, row, 0, nIn);
    for (let t = 0; t < nRows; t++) y[t * nOut + o] = dot64(x.data, t * nIn, row, 0, nIn);
  }
  return tensor([nRows, nOut], y);
}
