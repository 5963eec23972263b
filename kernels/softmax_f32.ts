// p[h, t, s] = exp(x[h, t, s] - max) / sum, over s < lengths[t]; p may be x.    Twin: src/ops/softmax.ts
import { exp4, loadLanes, maxRow, storeLanes, sumRow } from './lanes';

/** The rest of a row, up to its stride, is neither read nor written. */
export function softmaxF32(p: usize, x: usize, lengths: usize, nHeads: i32, nTokens: i32, stride: i32): void {
  const rowBytes = (<usize>stride) << 2;
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nTokens; t++, p += rowBytes, x += rowBytes) {
      softmaxRow(p, x, load<i32>(lengths + ((<usize>t) << 2)));
    }
  }
}

/** Three sweeps (exp, sum, divide) after the maximum: no running rescale, so that tiles and pages cannot show. */
function softmaxRow(p: usize, x: usize, n: i32): void {
  const simdBytes = (<usize>(n & ~3)) << 2;
  const tail = n & 3;
  const max = f32x4.splat(maxRow(x, n));
  let i: usize = 0;
  for (; i < simdBytes; i += 16) v128.store(p + i, exp4(f32x4.sub(v128.load(x + i), max)));
  if (tail) storeLanes(p + i, exp4(f32x4.sub(loadLanes(x + i, tail), max)), tail);

  const sum = f32x4.splat(sumRow(p, n));
  for (i = 0; i < simdBytes; i += 16) v128.store(p + i, f32x4.div(v128.load(p + i), sum));
  if (tail) storeLanes(p + i, f32x4.div(loadLanes(p + i, tail), sum), tail);
}
