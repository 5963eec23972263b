import { rowBytes } from '../core/dtype.ts';
import { match } from '../core/shape.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import { type ExpertSizes, rowOfSlot, slotsByExpert } from './expert_slots.ts';
import { type Activations, linear, linear64, type Sums } from './linear.ts';

type Floats = Float32Array | Float64Array;

/**
 * y[t, j * out + o] = sum_k x[t, k] * w[experts[t, j], o, k]                  x [T, in]: all experts of a token read its row
 * y[t, j * out + o] = sum_k x[t, j * in + k] * w[experts[t, j], o, k]         x [T, nChosen * in]: each has a part of its own
 *
 * w: [nExperts, out, in] in any stored format.  experts: [T, nChosen] of choose_experts.  y: f32 [T, nChosen * out].
 * Each product is that of linear.ts, and depends on its own row alone: which other rows chose the same expert is not seen in
 * the bits. They are taken expert by expert, so that each matrix is read once.
 * Throws ShapeError when the axes do not fit, or an expert is none of w.
 */
export function expertLinear(
  x: Tensor,
  w: Weight,
  experts: Tensor,
  activations: Activations,
  sums: Sums = 'f32',
): Tensor {
  return byExpert(x, w, experts, (rows, matrix) => linear(rows, matrix, activations, sums));
}

/** The float64 form. */
export function expertLinear64(
  x: Tensor<Float64Array>,
  w: Weight,
  experts: Tensor<Float64Array>,
): Tensor<Float64Array> {
  return byExpert(x, w, experts, (rows, matrix) => linear64(rows, matrix));
}

export function expertSizes(x: Tensor<Floats>, w: Weight, experts: Tensor<Floats>): ExpertSizes {
  const dims: Record<string, number> = {};
  match('experts', experts.shape, 'T nChosen', dims);
  match(w.name, w.shape, 'nExperts out in', dims);
  const [nRows, nChosen] = experts.shape as [number, number];
  const [nExperts, nOut, nIn] = w.shape as [number, number, number];
  const isShared = x.shape[1] === nIn;
  match('x', x.shape, isShared ? 'T in' : 'T parts', { ...dims, parts: nChosen * nIn });
  return { nRows, nChosen, nExperts, nOut, nIn, isShared };
}

/** One expert's matrix, [out, in]: a view. */
export function expertOf({ name, dtype, shape, bytes }: Weight, expert: number): Weight {
  const [, nOut, nIn] = shape as [number, number, number];
  const nBytes = nOut * rowBytes(dtype, nIn);
  return { name, dtype, shape: [nOut, nIn], bytes: bytes.subarray(expert * nBytes, (expert + 1) * nBytes) };
}

/** Calls `product` with the rows of each expert that somebody chose, and puts what it gives into their slots of y. */
function byExpert<A extends Floats>(
  x: Tensor<A>,
  w: Weight,
  experts: Tensor<A>,
  product: (rows: Tensor<A>, matrix: Weight) => Tensor<A>,
): Tensor<A> {
  const sizes = expertSizes(x, w, experts);
  const { nRows, nChosen, nExperts, nOut, nIn } = sizes;
  const zeros = (n: number): A => (x.data instanceof Float32Array ? new Float32Array(n) : new Float64Array(n)) as A;
  const y = zeros(nRows * nChosen * nOut);
  slotsByExpert(experts.data, nExperts).forEach((slots, expert) => {
    if (slots.length === 0) return;
    const rows = zeros(slots.length * nIn);
    slots.forEach((slot, i) => {
      const from = rowOfSlot(slot, sizes);
      rows.set(x.data.subarray(from, from + nIn), i * nIn);
    });
    const { data } = product(tensor([slots.length, nIn], rows), expertOf(w, expert));
    slots.forEach((slot, i) => {
      y.set(data.subarray(i * nOut, (i + 1) * nOut), slot * nOut);
    });
  });
  return tensor([nRows, nChosen * nOut], y);
}
