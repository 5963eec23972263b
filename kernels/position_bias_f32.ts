// y[h, t, s] = x[h, t, s] + b[h, D + clamp(s - positions[t], -D, D)], where row t sees s.    Twin: src/ops/position_bias.ts

/** b: [nHeads, 2 D + 1], D = maxDistance. y may be x. What a row does not see is neither read nor written. */
export function positionBiasF32(
  y: usize,
  x: usize,
  b: usize,
  positions: usize,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nHeads: i32,
  headStride: i32,
  nTokens: i32,
  stride: i32,
  maxDistance: i32,
): void {
  for (let h = 0; h < nHeads; h++) {
    const middle = b + ((<usize>(h * (2 * maxDistance + 1) + maxDistance)) << 2); // of distance 0
    for (let t = 0; t < nTokens; t++) {
      const row = (<usize>h * <usize>headStride + <usize>t * <usize>stride) << 2;
      const at = (<usize>t) << 2;
      const position = load<i32>(positions + at);
      const length = load<i32>(lengths + at);
      const start = load<i32>(starts + at);
      const first = start > sinks ? min(sinks, length) : length; // the sinks, or all
      addStretch(y + row, x + row, middle, 0, first, position, maxDistance);
      if (start > sinks) addStretch(y + row, x + row, middle, max(first, start), length, position, maxDistance);
    }
  }
}

/** Positions from .. until - 1. */
function addStretch(y: usize, x: usize, middle: usize, from: i32, until: i32, position: i32, far: i32): void {
  for (let s = from; s < until; s++) {
    const at = (<usize>s) << 2;
    const distance = min(max(s - position, -far), far); // below 0 the address wraps around, as it should
    store<f32>(y + at, load<f32>(x + at) + load<f32>(middle + ((<usize>distance) << 2)));
  }
}
