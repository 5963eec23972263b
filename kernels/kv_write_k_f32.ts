// Puts rows of keys into their cache, [position / 16][headDim][position % 16] for each kv head: positions are innermost, so
// that the lanes of attend_scores are positions.    Twin: kIndex in src/kvcache/layout.ts

/** Positions of one block. */
const KEY_BLOCK = 16;
/** Bytes from one element of a key to the next. */
const KEY_STEP: usize = 64;

export function kvWriteKF32(
  k: usize,
  kHeadStride: i32,
  position: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nKvHeads: i32,
  headDim: i32,
): void {
  const blockBytes = <usize>headDim * KEY_STEP;
  for (let t = 0; t < nTokens; t++) {
    const at = position + t;
    let to = k + <usize>(at / KEY_BLOCK) * blockBytes + ((<usize>(at % KEY_BLOCK)) << 2);
    let from = x + <usize>t * ((<usize>xStride) << 2);
    for (let h = 0; h < nKvHeads; h++, to += <usize>kHeadStride) {
      for (let d = 0; d < headDim; d++, from += 4) store<f32>(to + <usize>d * KEY_STEP, load<f32>(from));
    }
  }
}
