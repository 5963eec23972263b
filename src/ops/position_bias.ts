import { match } from '../core/shape.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { assertVisible, seenBy, type Visible } from './visible.ts';

const { fround } = Math;

/**
 * y[h, t, s] = x[h, t, s] + b[h, D + min(max(s - positions[t], -D), D)]        for the positions s that row t sees, else 0
 *
 * x, y: f32 [nHeads, T, S], scores of one sequence.  positions: [T], the rows' own.  visible: which s row t sees (visible.ts).
 * b: f32 [nHeads * (2 D + 1)], D = maxDistance: a number for each head and distance; what is further away has that of distance D.
 * One rounding. Throws ShapeError when b has another size, or a row sees more than S positions.
 * Source: Raffel et al. 2020, "T5", section 2.1; Shaw et al. 2018, "Self-Attention with Relative Position Representations".
 */
export function positionBias(
  x: Tensor,
  positions: Int32Array,
  b: Tensor,
  visible: Visible,
  maxDistance: number,
): Tensor {
  const y = new Float32Array(x.data.length);
  forEachScore(x, positions, b, visible, maxDistance, (i, at) => {
    y[i] = fround(x.data[i]! + b.data[at]!);
  });
  return tensor(x.shape, y);
}

/** The float64 form. */
export function positionBias64(
  x: Tensor<Float64Array>,
  positions: Int32Array,
  b: Tensor<Float64Array>,
  visible: Visible,
  maxDistance: number,
): Tensor<Float64Array> {
  const y = new Float64Array(x.data.length);
  forEachScore(x, positions, b, visible, maxDistance, (i, at) => {
    y[i] = x.data[i]! + b.data[at]!;
  });
  return tensor(x.shape, y);
}

/** Visits each score that is seen: its index, and that of its number in b. */
function forEachScore(
  x: Tensor<Float32Array | Float64Array>,
  positions: Int32Array,
  b: Tensor<Float32Array | Float64Array>,
  visible: Visible,
  maxDistance: number,
  visit: (i: number, at: number) => void,
): void {
  const [nHeads, nRows, nPositions] = x.shape as [number, number, number];
  const width = 2 * maxDistance + 1;
  match('b', b.shape, String(nHeads * width));
  match('positions', [positions.length], String(nRows));
  assertVisible(visible, nPositions);
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nRows; t++) {
      for (const [from, until] of seenBy(visible, t)) {
        for (let s = from; s < until; s++) {
          const distance = Math.min(Math.max(s - positions[t]!, -maxDistance), maxDistance);
          visit((h * nRows + t) * nPositions + s, h * width + maxDistance + distance);
        }
      }
    }
  }
}
