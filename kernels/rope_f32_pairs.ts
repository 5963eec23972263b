// Turns pairs (2i, 2i+1) of every head by the angles of its token's position; y may be x.    Twin: src/ops/rope.ts
export function ropeF32Pairs(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  positions: usize,
  cos: usize,
  sin: usize,
  nTokens: i32,
  nHeads: i32,
  headDim: i32,
  ropeDim: i32,
): void {
  const headBytes = (<usize>headDim) << 2;
  const halfDim = ropeDim >> 1;
  for (let t = 0; t < nTokens; t++) {
    const angle = <usize>load<i32>(positions + ((<usize>t) << 2)) * ((<usize>halfDim) << 2);
    let yHead = y + <usize>t * ((<usize>yStride) << 2);
    let xHead = x + <usize>t * ((<usize>xStride) << 2);
    for (let h = 0; h < nHeads; h++, yHead += headBytes, xHead += headBytes) {
      turnPairs(yHead, xHead, cos + angle, sin + angle, halfDim);
      const turned = (<usize>ropeDim) << 2;
      if (y !== x && ropeDim < headDim) memory.copy(yHead + turned, xHead + turned, headBytes - turned);
    }
  }
}

/** Lanes are pairs: eight elements are taken apart into four first and four second ones, and put together again. */
function turnPairs(y: usize, x: usize, cos: usize, sin: usize, halfDim: i32): void {
  const endSimd = cos + ((<usize>(halfDim & ~3)) << 2);
  for (; cos < endSimd; cos += 16, sin += 16, x += 32, y += 32) {
    const low = v128.load(x);
    const high = v128.load(x, 16);
    const a = v128.shuffle<f32>(low, high, 0, 2, 4, 6);
    const b = v128.shuffle<f32>(low, high, 1, 3, 5, 7);
    const c = v128.load(cos);
    const s = v128.load(sin);
    const ya = f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s));
    const yb = f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c));
    v128.store(y, v128.shuffle<f32>(ya, yb, 0, 4, 1, 5));
    v128.store(y, v128.shuffle<f32>(ya, yb, 2, 6, 3, 7), 16);
  }
  for (let i = 0; i < (halfDim & 3); i++, cos += 4, sin += 4, x += 8, y += 8) {
    const a = load<f32>(x);
    const b = load<f32>(x, 4);
    const c = load<f32>(cos);
    const s = load<f32>(sin);
    store<f32>(y, a * c - b * s);
    store<f32>(y, a * s + b * c, 4);
  }
}
