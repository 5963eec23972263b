import type { Tensor } from '../core/tensor.ts';
import { attendMix, attendMix64 } from './attend_mix.ts';
import { attendScores, attendScores64 } from './attend_scores.ts';
import { softmax, softmax64 } from './softmax.ts';
import type { Visible } from './visible.ts';

/**
 * y = attend_mix(softmax(attend_scores(q, k)), v): attention as one op, each row over the positions that it sees.
 *
 * q, y: f32 [T, nHeads, headDim].  k, v: f32 [S, nKvHeads, headDim].  Nothing but the three ops one after the other, so the same
 * order of sums and the same bits; what is saved is where scores go meanwhile.
 * Throws ShapeError as the three do.
 * Source: Vaswani et al. 2017, eq. 1.
 */
export function attend(q: Tensor, k: Tensor, v: Tensor, visible: Visible, scale: number, cap?: number): Tensor {
  return attendMix(softmax(attendScores(q, k, visible, scale, cap), visible), v, visible);
}

/** The float64 form. */
export function attend64(
  q: Tensor<Float64Array>,
  k: Tensor<Float64Array>,
  v: Tensor<Float64Array>,
  visible: Visible,
  scale: number,
  cap?: number,
): Tensor<Float64Array> {
  return attendMix64(softmax64(attendScores64(q, k, visible, scale, cap), visible), v, visible);
}
