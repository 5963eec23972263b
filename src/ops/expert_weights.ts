import { match } from '../core/shape.ts';
import { sum64, sumRow } from '../core/sum.ts';
import { type Tensor, tensor } from '../core/tensor.ts';

const { fround } = Math;

/**
 * w[t, j] = scale * scores[t, experts[t, j]]                            as they are
 * w[t, j] = scale * scores[t, experts[t, j]] / sum_j scores[t, experts[t, j]]        normalized
 *
 * scores: f32 [T, nExperts].  experts: [T, nChosen] of choose_experts.  w: f32 [T, nChosen].
 * The sum runs over j in the stated order of core/sum.ts; then a quotient and a product, each rounded. A sum of 0 gives NaN.
 * With scores = softmax over all experts, the normalized weights are those of a softmax over the chosen ones.
 */
export function expertWeights(scores: Tensor, experts: Tensor, isNormalized: boolean, scale: number): Tensor {
  const [nRows, nChosen] = checkShapes(scores, experts);
  const scale32 = fround(scale);
  const w = takeScores(scores, experts);
  for (let t = 0; t < nRows; t++) {
    const sum = isNormalized ? sumRow(w, t * nChosen, nChosen) : 1;
    for (let i = t * nChosen; i < (t + 1) * nChosen; i++) w[i] = fround(scale32 * fround(w[i]! / sum));
  }
  return tensor(experts.shape, w);
}

/** The float64 form, with a compensated sum. */
export function expertWeights64(
  scores: Tensor<Float64Array>,
  experts: Tensor<Float64Array>,
  isNormalized: boolean,
  scale: number,
): Tensor<Float64Array> {
  const [nRows, nChosen] = checkShapes(scores, experts);
  const w = takeScores(scores, experts);
  for (let t = 0; t < nRows; t++) {
    const sum = isNormalized ? sum64(w, t * nChosen, nChosen) : 1;
    for (let i = t * nChosen; i < (t + 1) * nChosen; i++) w[i] = (fround(scale) * w[i]!) / sum;
  }
  return tensor(experts.shape, w);
}

function checkShapes(scores: Tensor<Float32Array | Float64Array>, experts: Tensor<Float32Array | Float64Array>) {
  const dims: Record<string, number> = {};
  match('scores', scores.shape, 'T nExperts', dims);
  match('experts', experts.shape, 'T nChosen', dims);
  return experts.shape as [number, number];
}

/** The scores of the chosen experts, [T, nChosen]. */
function takeScores<A extends Float32Array | Float64Array>(scores: Tensor<A>, experts: Tensor<A>): A {
  const [nExperts, nChosen] = [scores.shape[1]!, experts.shape[1]!];
  return experts.data.map((e, i) => scores.data[Math.floor(i / nChosen) * nExperts + e]!) as A;
}
