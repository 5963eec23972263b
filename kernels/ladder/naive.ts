// Step 1, naive: y[t, o] = sum_k x[t, k] * w[o, k] as it is written.    Definition: src/ops/linear.ts
//
// x: f32 [nTokens, nIn].  w: f32 [nOut, nIn], rows as a file has them.  y: f32 [nTokens, nOut].
//
// Why it is slow: one sum, one number at a time. Each addition needs the one before it, so a product comes out every 2 to 4
// cycles (the latency of an addition), while the processor could do eight in each.

export function linearNaive(y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const rowBytes = (<usize>nIn) << 2;
  for (let o = 0; o < nOut; o++) {
    for (let t = 0; t < nTokens; t++) {
      store<f32>(y + ((<usize>(t * nOut + o)) << 2), dot(x + <usize>t * rowBytes, w + <usize>o * rowBytes, nIn));
    }
  }
}

/** k rises, the sum starts from +0, each product and each sum is rounded: this order is what every step keeps. */
export function dot(x: usize, w: usize, nIn: i32): f32 {
  let sum: f32 = 0;
  for (const end = x + ((<usize>nIn) << 2); x < end; x += 4) {
    sum += load<f32>(x) * load<f32>(w);
    w += 4;
  }
  return sum;
}
