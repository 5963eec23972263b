// sums[s] += p[h, t, s], t rising and for one t h, over the positions that row t sees.    Twin: src/ops/attend_sums.ts
// Lanes are positions. One kv head and one stretch of the cache a call.

/** See CoreKernels in src/exec/wasm/kernels.ts. Probabilities of positions that a row does not see are not read. */
export function attendSumsF32(
  sums: usize,
  p: usize,
  sStride: i32,
  sHeadStride: i32,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  group: i32,
  from: i32,
  nPositions: i32,
): void {
  const first = p + ((<usize>from) << 2);
  for (let t = 0; t < nTokens; t++) {
    const at = (<usize>t) << 2;
    const end = min(nPositions, load<i32>(lengths + at) - from);
    const endOfSinks = min(end, sinks - from);
    const start = load<i32>(starts + at) - from;
    for (let g = 0; g < group; g++) {
      const row = first + ((<usize>t * <usize>sStride + <usize>g * <usize>sHeadStride) << 2);
      if (start > endOfSinks) addStretch(sums, row, 0, endOfSinks);
      addStretch(sums, row, start > endOfSinks ? max(0, start) : 0, end);
    }
  }
}

function addStretch(sums: usize, row: usize, from: i32, until: i32): void {
  let s = from;
  for (; s + 4 <= until; s += 4) {
    const at = (<usize>s) << 2;
    v128.store(sums + at, f32x4.add(v128.load(sums + at), v128.load(row + at)));
  }
  for (; s < until; s++) {
    const at = (<usize>s) << 2;
    store<f32>(sums + at, load<f32>(sums + at) + load<f32>(row + at));
  }
}
