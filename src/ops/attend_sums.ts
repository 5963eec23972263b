import { ShapeError } from '../core/errors.ts';
import { match } from '../core/shape.ts';
import type { Tensor } from '../core/tensor.ts';
import { assertVisible, seenBy, type Visible } from './visible.ts';

const { fround } = Math;

/**
 * sums[h / group, s] += p[h, t, s]        for the positions s that row t sees: how much each position was attended to
 *
 * sums: f32 [nKvHeads, S], changed in place.  p: f32 [nHeads, T, S], rows of softmax; group = nHeads / nKvHeads.
 * Every sum takes its terms by rising t, for one t by rising h, so it does not matter how rows are cut into runs.
 * Throws ShapeError when nHeads is not a multiple of nKvHeads, or a row sees more than S positions.
 * Source: Zhang et al. 2023, "H2O: Heavy-Hitter Oracle", section 4.
 */
export function attendSums(sums: Tensor, p: Tensor, visible: Visible): void {
  forEachSeen(sums, p, visible, (at, from) => {
    sums.data[at] = fround(sums.data[at]! + p.data[from]!);
  });
}

/** The float64 form. */
export function attendSums64(sums: Tensor<Float64Array>, p: Tensor<Float64Array>, visible: Visible): void {
  forEachSeen(sums, p, visible, (at, from) => {
    sums.data[at]! += p.data[from]!;
  });
}

function forEachSeen(
  sums: Tensor<Float32Array | Float64Array>,
  p: Tensor<Float32Array | Float64Array>,
  visible: Visible,
  add: (sum: number, term: number) => void,
): void {
  const dims: Record<string, number> = { T: visible.lengths.length };
  match('p', p.shape, 'nHeads T S', dims);
  match('sums', sums.shape, 'nKvHeads S', dims);
  const { T, S, nHeads, nKvHeads } = dims as Record<'T' | 'S' | 'nHeads' | 'nKvHeads', number>;
  if (nHeads % nKvHeads !== 0)
    throw new ShapeError(`attend: nHeads ${nHeads} is not a multiple of nKvHeads ${nKvHeads}`);
  assertVisible(visible, S);
  for (let t = 0; t < T; t++) {
    const seen = seenBy(visible, t);
    for (let h = 0; h < nHeads; h++) {
      const kvHead = Math.floor((h * nKvHeads) / nHeads);
      for (const [from, until] of seen) {
        for (let s = from; s < until; s++) add(kvHead * S + s, (h * T + t) * S + s);
      }
    }
  }
}
