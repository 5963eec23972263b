// Turns the pairs of every head as rope_f32_pairs and rope_f32_halves do, and puts the turned rows into their cache as
// kv_write_k_f32 does, without rows in between.    Twins: src/ops/rope.ts, then kIndex in src/kvcache/layout.ts

/** Positions of one block; and how much further apart the elements of a key are there than in a row. */
const KEY_BLOCK = 16;

export function ropeWriteKF32(
  k: usize,
  kHeadStride: i32,
  position: i32,
  x: usize,
  xStride: i32,
  positions: usize,
  cos: usize,
  sin: usize,
  nTokens: i32,
  nKvHeads: i32,
  headDim: i32,
  ropeDim: i32,
  isPairs: i32,
): void {
  const headBytes = (<usize>headDim) << 2;
  const halfDim = ropeDim >> 1;
  for (let t = 0; t < nTokens; t++) {
    const at = position + t;
    let to = k + <usize>(at / KEY_BLOCK) * headBytes * KEY_BLOCK + ((<usize>(at % KEY_BLOCK)) << 2);
    let from = x + <usize>t * ((<usize>xStride) << 2);
    const angle = <usize>load<i32>(positions + ((<usize>t) << 2)) * ((<usize>halfDim) << 2);
    for (let h = 0; h < nKvHeads; h++, to += <usize>kHeadStride, from += headBytes) {
      turn(to, from, cos + angle, sin + angle, halfDim, isPairs);
      for (let e = (<usize>ropeDim) << 2; e < headBytes; e += 4) store<f32>(to + e * KEY_BLOCK, load<f32>(from + e));
    }
  }
}

/** Lanes are pairs. */
function turn(to: usize, x: usize, cos: usize, sin: usize, halfDim: i32, isPairs: i32): void {
  const step: usize = isPairs ? 8 : 4; // bytes from the first element of a pair to that of the next
  const apart: usize = isPairs ? 4 : (<usize>halfDim) << 2; // and to its own second element
  const endSimd = cos + ((<usize>(halfDim & ~3)) << 2);
  const end = cos + ((<usize>halfDim) << 2);
  for (; cos < endSimd; cos += 16, sin += 16, x += 4 * step, to += 4 * step * KEY_BLOCK) {
    let a = v128.load(x);
    let b = v128.load(x + (isPairs ? 16 : apart));
    if (isPairs) {
      const low = a;
      a = v128.shuffle<f32>(low, b, 0, 2, 4, 6);
      b = v128.shuffle<f32>(low, b, 1, 3, 5, 7);
    }
    const c = v128.load(cos);
    const s = v128.load(sin);
    storeLanes(to, step * KEY_BLOCK, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    storeLanes(to + apart * KEY_BLOCK, step * KEY_BLOCK, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)));
  }
  for (; cos < end; cos += 4, sin += 4, x += step, to += step * KEY_BLOCK) {
    const a = load<f32>(x);
    const b = load<f32>(x + apart);
    const c = load<f32>(cos);
    const s = load<f32>(sin);
    store<f32>(to, a * c - b * s);
    store<f32>(to + apart * KEY_BLOCK, a * s + b * c);
  }
}

/** Four elements of a key, each with its own place. */
function storeLanes(to: usize, step: usize, four: v128): void {
  v128.store_lane<f32>(to, four, 0);
  v128.store_lane<f32>(to + step, four, 1);
  v128.store_lane<f32>(to + 2 * step, four, 2);
  v128.store_lane<f32>(to + 3 * step, four, 3);
}
