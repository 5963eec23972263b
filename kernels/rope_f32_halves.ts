// Turns pairs (i, i + ropeDim/2) of every head by the angles of its token's position; y may be x.    Twin: src/ops/rope.ts
export function ropeF32Halves(
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
      turnHalves(yHead, xHead, cos + angle, sin + angle, halfDim);
      const turned = (<usize>ropeDim) << 2;
      if (y !== x && ropeDim < headDim) memory.copy(yHead + turned, xHead + turned, headBytes - turned);
    }
  }
}

/** Lanes are pairs. */
function turnHalves(y: usize, x: usize, cos: usize, sin: usize, halfDim: i32): void {
  const half = (<usize>halfDim) << 2; // bytes from the first element of a pair to its second
  const simdBytes = (<usize>(halfDim & ~3)) << 2;
  let i: usize = 0;
  for (; i < simdBytes; i += 16) {
    const a = v128.load(x + i);
    const b = v128.load(x + half + i);
    const c = v128.load(cos + i);
    const s = v128.load(sin + i);
    v128.store(y + i, f32x4.sub(f32x4.mul(a, c), f32x4.mul(b, s)));
    v128.store(y + half + i, f32x4.add(f32x4.mul(a, s), f32x4.mul(b, c)));
  }
  for (; i < half; i += 4) {
    const a = load<f32>(x + i);
    const b = load<f32>(x + half + i);
    const c = load<f32>(cos + i);
    const s = load<f32>(sin + i);
    store<f32>(y + i, a * c - b * s);
    store<f32>(y + half + i, a * s + b * c);
  }
}
