// y[t, h, :] = sum_s softmax_s(scale * q[t, h] . k[s, h / group]) * v[s, h / group], s over the positions that row t sees.
//                                                                                     Twin: src/ops/attend.ts
// The kernels of the three parts one after the other, on a tile at a time: some tokens x the heads that share a kv head. So a
// tile's scores are still in a near cache when they are read again, and scratch is as large as a tile. With few tokens reading keys
// and values takes the time, and those that lie in pages are read as they lie: of a page after the other, all heads.
import { attendMixF32 } from './attend_mix_f32';
import { attendScoresF32 } from './attend_scores_f32';
import { softmaxF32 } from './softmax_f32';

/** Rows of a tile share every key that is read: 16 tokens x a group of 3 heads x 4096 positions are 786 kB. */
const TILE_TOKENS = 16;

/** With less, and several stretches of the cache, those are the outer loop and heads the inner one: 1,000 positions in scattered pages take 0.8 of the time. */
const TILED_TOKENS = 4;

/** One stretch of the cache: i32 first row, i32 rows, u32 keys, u32 values, u32 bytes from one kv head to the next. */
const RUN_BYTES: usize = 20;

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function attendF32(
  y: usize,
  yStride: i32,
  q: usize,
  qStride: i32,
  runs: usize,
  nRuns: i32,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  firstHead: i32,
  nHeads: i32,
  group: i32,
  headDim: i32,
  sStride: i32,
  scale: f32,
  cap: f32,
  scratch: usize,
): void {
  const headBytes = (<usize>headDim) << 2;
  const endRuns = runs + <usize>nRuns * RUN_BYTES;
  if (nTokens < TILED_TOKENS && nRuns > 1) {
    // biome-ignore format: the kernel's arguments in its own order
    attendFew(
      y, yStride, q, qStride, runs, endRuns, lengths, starts, sinks, nTokens, firstHead, nHeads, group, headDim, sStride, scale,
      cap, scratch,
    );
    return;
  }
  for (let t = 0; t < nTokens; t += TILE_TOKENS) {
    const n = min(TILE_TOKENS, nTokens - t);
    const seen = (<usize>t) << 2;
    const sHeadStride = n * sStride;
    for (let h = firstHead, kvHead = firstHead / group; h < firstHead + nHeads; kvHead++) {
      const heads = min((kvHead + 1) * group, firstHead + nHeads) - h;
      const yt = y + ((<usize>t * <usize>yStride) << 2) + <usize>h * headBytes;
      const qt = q + ((<usize>t * <usize>qStride) << 2) + <usize>h * headBytes;
      for (let run = runs; run < endRuns; run += RUN_BYTES) {
        const headStride = load<i32>(run, 16);
        const k = <usize>load<u32>(run, 8) + <usize>kvHead * <usize>headStride;
        // biome-ignore format: the kernel's arguments in its own order
        attendScoresF32(
          scratch, sStride, sHeadStride, qt, qStride, k, headStride, lengths + seen, starts + seen, sinks,
          n, 1, heads, headDim, load<i32>(run), load<i32>(run, 4), scale, cap,
        );
      }
      softmaxF32(scratch, scratch, lengths + seen, starts + seen, sinks, heads, sHeadStride, n, sStride);
      for (let run = runs; run < endRuns; run += RUN_BYTES) {
        const headStride = load<i32>(run, 16);
        const v = <usize>load<u32>(run, 12) + <usize>kvHead * <usize>headStride;
        // biome-ignore format: the kernel's arguments in its own order
        attendMixF32(
          yt, yStride, scratch, sStride, sHeadStride, v, headStride, lengths + seen, starts + seen, sinks,
          n, 1, heads, headDim, load<i32>(run), load<i32>(run, 4), run > runs,
        );
      }
      h += heads;
    }
  }
}

/** All tokens and heads at once: scores of every stretch, then probabilities, then values of every stretch. */
function attendFew(
  y: usize,
  yStride: i32,
  q: usize,
  qStride: i32,
  runs: usize,
  endRuns: usize,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  firstHead: i32,
  nHeads: i32,
  group: i32,
  headDim: i32,
  sStride: i32,
  scale: f32,
  cap: f32,
  scratch: usize,
): void {
  const headBytes = (<usize>headDim) << 2;
  const sHeadStride = nTokens * sStride;
  const endHead = firstHead + nHeads;
  for (let run = runs; run < endRuns; run += RUN_BYTES) {
    const headStride = load<i32>(run, 16);
    for (let h = firstHead, kvHead = firstHead / group, heads = 0; h < endHead; kvHead++, h += heads) {
      heads = min((kvHead + 1) * group, endHead) - h;
      const scores = scratch + ((<usize>(h - firstHead) * <usize>sHeadStride) << 2);
      const k = <usize>load<u32>(run, 8) + <usize>kvHead * <usize>headStride;
      // biome-ignore format: the kernel's arguments in its own order
      attendScoresF32(
        scores, sStride, sHeadStride, q + <usize>h * headBytes, qStride, k, headStride, lengths, starts, sinks,
        nTokens, 1, heads, headDim, load<i32>(run), load<i32>(run, 4), scale, cap,
      );
    }
  }
  softmaxF32(scratch, scratch, lengths, starts, sinks, nHeads, sHeadStride, nTokens, sStride);
  for (let run = runs; run < endRuns; run += RUN_BYTES) {
    const headStride = load<i32>(run, 16);
    for (let h = firstHead, kvHead = firstHead / group, heads = 0; h < endHead; kvHead++, h += heads) {
      heads = min((kvHead + 1) * group, endHead) - h;
      const probs = scratch + ((<usize>(h - firstHead) * <usize>sHeadStride) << 2);
      const v = <usize>load<u32>(run, 12) + <usize>kvHead * <usize>headStride;
      // biome-ignore format: the kernel's arguments in its own order
      attendMixF32(
        y + <usize>h * headBytes, yStride, probs, sStride, sHeadStride, v, headStride, lengths, starts, sinks,
        nTokens, 1, heads, headDim, load<i32>(run), load<i32>(run, 4), run > runs,
      );
    }
  }
}
