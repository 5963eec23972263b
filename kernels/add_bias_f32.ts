// y[t, i] = x[t, i] + b[i]; y may be x.    Twin: src/ops/add_bias.ts
export function addBiasF32(y: usize, x: usize, b: usize, nTokens: i32, n: i32): void {
  const rowBytes = (<usize>n) << 2;
  const simdBytes = (<usize>(n & ~3)) << 2;
  for (let t = 0; t < nTokens; t++, x += rowBytes, y += rowBytes) {
    let i: usize = 0;
    for (; i < simdBytes; i += 16) v128.store(y + i, f32x4.add(v128.load(x + i), v128.load(b + i)));
    for (; i < rowBytes; i += 4) store<f32>(y + i, load<f32>(x + i) + load<f32>(b + i));
  }
}
