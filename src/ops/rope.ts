import { ShapeError } from '../core/errors.ts';
import { match, showShape } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * Which two elements of a head turn together: 'pairs' turns (2i, 2i+1), as GGUF llama files are permuted for;
 * 'halves' turns (i, i + ropeDim/2), as Hugging Face checkpoints are.
 */
export type RopeLayout = 'pairs' | 'halves';

/** cos and sin of position * frequency, [nPositions, ropeDim / 2]; made in float64 by ops/rope_table.ts. */
export interface RopeAngles<A extends Float32Array | Float64Array> {
  readonly cos: A;
  readonly sin: A;
  readonly halfDim: number;
}

/**
 * y[t, h, a] = x[t, h, a] * cos - x[t, h, b] * sin
 * y[t, h, b] = x[t, h, a] * sin + x[t, h, b] * cos     for each pair (a, b), angle = positions[t] * frequency[i]
 *
 * x, y: f32 [T, nHeads, headDim].  positions: [T].  Elements from ropeDim on are copied.
 * Throws ShapeError when positions is not [T] or the table does not reach a position.
 * Source: Su et al. 2021, "RoFormer", eq. 34.
 */
export function rope(x: Tensor, positions: Int32Array, angles: RopeAngles<Float32Array>, layout: RopeLayout): Tensor {
  const y = x.data.slice();
  forEachPair(x, positions, angles, layout, (a, b, i) => {
    const c = angles.cos[i]!;
    const s = angles.sin[i]!;
    y[a] = fround(fround(x.data[a]! * c) - fround(x.data[b]! * s));
    y[b] = fround(fround(x.data[a]! * s) + fround(x.data[b]! * c));
  });
  return tensor(x.shape, y);
}

/** The float64 form. */
export function rope64(
  x: Tensor<Float64Array>,
  positions: Int32Array,
  angles: RopeAngles<Float64Array>,
  layout: RopeLayout,
): Tensor<Float64Array> {
  const y = x.data.slice();
  forEachPair(x, positions, angles, layout, (a, b, i) => {
    y[a] = x.data[a]! * angles.cos[i]! - x.data[b]! * angles.sin[i]!;
    y[b] = x.data[a]! * angles.sin[i]! + x.data[b]! * angles.cos[i]!;
  });
  return tensor(x.shape, y);
}

/**
 * Calls turn(index of a, index of b, index into the table) for every pair of every head of every row: what a layout means.
 * Throws ShapeError as `rope` does.
 */
export function forEachPair(
  x: Tensor<Float32Array | Float64Array>,
  positions: Int32Array,
  angles: RopeAngles<Float32Array | Float64Array>,
  layout: RopeLayout,
  turn: (a: number, b: number, i: number) => void,
): void {
  match('x', x.shape, 'T nHeads headDim', { T: positions.length });
  const [nRows, nHeads, headDim] = x.shape as [number, number, number];
  const { halfDim } = angles;
  if (2 * halfDim > headDim) {
    throw new ShapeError(`rope: ${2 * halfDim} turned elements do not fit headDim ${headDim} of ${showShape(x.shape)}`);
  }
  for (let t = 0; t < nRows; t++) {
    const row = positions[t]! * halfDim;
    if (!(row >= 0 && row + halfDim <= angles.cos.length)) {
      throw new ShapeError(
        `rope: position ${positions[t]} is outside the table of ${angles.cos.length / halfDim} positions`,
      );
    }
    for (let h = 0; h < nHeads; h++) {
      const head = (t * nHeads + h) * headDim;
      for (let i = 0; i < halfDim; i++) {
        const a = head + (layout === 'pairs' ? 2 * i : i);
        const b = layout === 'pairs' ? a + 1 : a + halfDim;
        turn(a, b, row + i);
      }
    }
  }
}
