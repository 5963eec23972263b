// scores[h, t, s] = scale * sum_d q[t, h, d] * k[s, h / group, d], the sum and the product with scale in float64, rounded to f32
// once; then the cap as in attend_scores_f32.ts.                               Twin: src/ops/attend_scores.ts
//
// Keys lie in blocks of 16 positions, [headDim][16]: lanes are positions, two at a time.
import { anySees, capRows } from './attend_scores_f32';
import { largest, smallest } from './lanes';

/** Positions of one block, and bytes of one element of its keys. */
const KEY_BLOCK = 16;
const KEY_STEP: usize = 64;

/** See CoreKernels in src/exec/wasm/kernels.ts: what attendScoresF32 takes, and the blocks that it fills. */
export function attendScoresF32Wide(
  scores: usize,
  sStride: i32,
  sHeadStride: i32,
  q: usize,
  qStride: i32,
  k: usize,
  kHeadStride: i32,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  nKvHeads: i32,
  group: i32,
  headDim: i32,
  from: i32,
  nPositions: i32,
  scale: f32,
  cap: f32,
): void {
  const headBytes = (<usize>headDim) << 2;
  const blockBytes = <usize>headDim * KEY_STEP;
  const lowest = (smallest(starts, nTokens) - from) & ~(KEY_BLOCK - 1);
  const end = min(nPositions, largest(lengths, nTokens) - from);
  for (let kvHead = 0; kvHead < nKvHeads; kvHead++) {
    const keys = k + <usize>kvHead * <usize>kHeadStride;
    for (let s = 0; s < end; s += KEY_BLOCK) {
      if (from + s >= sinks && s < lowest) {
        if (lowest >= end) break;
        s = lowest;
      }
      const block = keys + <usize>(s / KEY_BLOCK) * blockBytes;
      for (let t = 0; t < nTokens; t++) {
        if (!anySees(lengths, starts, sinks, t, 1, from + s)) continue;
        for (let h = kvHead * group; h < (kvHead + 1) * group; h++) {
          const at = scores + ((<usize>h * <usize>sHeadStride + <usize>t * <usize>sStride + <usize>(from + s)) << 2);
          const row = q + ((<usize>t * <usize>qStride) << 2) + <usize>h * headBytes;
          for (let i: usize = 0; i < KEY_STEP; i += 16) fourScores(at + i, row, block + i, headDim, scale);
          if (cap > 0) capRows(at, 0, 1, cap);
        }
      }
    }
  }
}

/** One row times four positions of a block. */
function fourScores(at: usize, q: usize, k: usize, headDim: i32, scale: f32): void {
  let low = f64x2.splat(0);
  let high = f64x2.splat(0);
  const end = q + ((<usize>headDim) << 2);
  for (; q < end; q += 4, k += KEY_STEP) {
    const qd = f64x2.splat(<f64>load<f32>(q));
    low = f64x2.add(low, f64x2.mul(qd, f64x2.promote_low_f32x4(v128.load64_zero(k))));
    high = f64x2.add(high, f64x2.mul(qd, f64x2.promote_low_f32x4(v128.load64_zero(k, 8))));
  }
  const by = f64x2.splat(<f64>scale);
  const first = f32x4.demote_f64x2_zero(f64x2.mul(low, by));
  const last = f32x4.demote_f64x2_zero(f64x2.mul(high, by));
  v128.store(at, v128.shuffle<f64>(first, last, 0, 2));
}
