// Puts rows of values into their cache, [position][headDim] for each kv head: head dims are innermost, so that the lanes of
// attend_mix are head dims.    Twin: vIndex in src/kvcache/layout.ts
export function kvWriteVF32(
  v: usize,
  vHeadStride: i32,
  position: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nKvHeads: i32,
  headDim: i32,
): void {
  const headBytes = (<usize>headDim) << 2;
  for (let t = 0; t < nTokens; t++) {
    let to = v + <usize>(position + t) * headBytes;
    let from = x + <usize>t * ((<usize>xStride) << 2);
    for (let h = 0; h < nKvHeads; h++, to += <usize>vHeadStride, from += headBytes) memory.copy(to, from, headBytes);
  }
}
