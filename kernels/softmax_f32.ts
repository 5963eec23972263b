// p[h, t, s] = exp(x[h, t, s] - max) / sum, over s < lengths[t]; p may be x.    Twin: src/ops/softmax.ts
import { addLanes, exp4, loadLanes, maxRow, storeLanes } from './lanes';

/** The rest of a row, up to its stride, is neither read nor written. */
export function softmaxF32(
  p: usize,
  x: usize,
  lengths: usize,
  nHeads: i32,
  headStride: i32,
  nTokens: i32,
  stride: i32,
): void {
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nTokens; t++) {
      const row = (<usize>h * <usize>headStride + <usize>t * <usize>stride) << 2;
      softmaxRow(p + row, x + row, load<i32>(lengths + ((<usize>t) << 2)));
    }
  }
}

/**
 * Maximum; exp and its sum; division: no running rescale, so that tiles and pages cannot show. The sum's lane j adds
 * elements j (mod 4). A NaN in the row needs no care in the maximum: it becomes a NaN exp, then a NaN sum.
 */
function softmaxRow(p: usize, x: usize, n: i32): void {
  const simdBytes = (<usize>(n & ~3)) << 2;
  const tail = n & 3;
  const max = f32x4.splat(maxRow(x, n));
  let lanes = f32x4.splat(0);
  let i: usize = 0;
  for (; i < simdBytes; i += 16) {
    const e = exp4(f32x4.sub(v128.load(x + i), max));
    v128.store(p + i, e);
    lanes = f32x4.add(lanes, e);
  }
  if (tail) {
    storeLanes(p + i, exp4(f32x4.sub(loadLanes(x + i, tail), max)), tail);
    lanes = f32x4.add(lanes, loadLanes(p + i, tail)); // the lanes behind the row as +0
  }

  const sum = f32x4.splat(addLanes(lanes));
  for (i = 0; i < simdBytes; i += 16) v128.store(p + i, f32x4.div(v128.load(p + i), sum));
  if (tail) storeLanes(p + i, f32x4.div(loadLanes(p + i, tail), sum), tail);
}
