// y[t, i] = sum_j w[t, j] * x[t, j, i], j rising; four i in four lanes.    Twin: src/ops/expert_sum.ts
import { loadLanes, storeLanes } from './lanes';

/** x: [nTokens, nChosen, dim].  w: [nTokens, nChosen].  y: [nTokens, dim].  All dense. */
export function expertSumF32(y: usize, x: usize, w: usize, nTokens: i32, nChosen: i32, dim: i32): void {
  const rowBytes = (<usize>dim) << 2;
  const simdBytes = (<usize>(dim & ~3)) << 2;
  const tail = dim & 3;
  for (let t = 0; t < nTokens; t++) {
    for (let i: usize = 0; i < simdBytes; i += 16) {
      let acc = f32x4.splat(0);
      for (let j = 0; j < nChosen; j++) {
        acc = f32x4.add(
          acc,
          f32x4.mul(v128.load32_splat(w + ((<usize>j) << 2)), v128.load(x + i + <usize>j * rowBytes)),
        );
      }
      v128.store(y + i, acc);
    }
    if (tail) {
      let acc = f32x4.splat(0);
      for (let j = 0; j < nChosen; j++) {
        const row = loadLanes(x + simdBytes + <usize>j * rowBytes, tail);
        acc = f32x4.add(acc, f32x4.mul(v128.load32_splat(w + ((<usize>j) << 2)), row));
      }
      storeLanes(y + simdBytes, acc, tail);
    }
    y += rowBytes;
    x += <usize>nChosen * rowBytes;
    w += (<usize>nChosen) << 2;
  }
}
