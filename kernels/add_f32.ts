// y[i] = a[i] + b[i]; y may be a or b.    Twin: src/ops/add.ts
export function addF32(y: usize, a: usize, b: usize, n: i32): void {
  const end = y + ((<usize>(n & ~3)) << 2);
  for (; y < end; y += 16, a += 16, b += 16) v128.store(y, f32x4.add(v128.load(a), v128.load(b)));
  for (let i = 0; i < (n & 3); i++, y += 4, a += 4, b += 4) store<f32>(y, load<f32>(a) + load<f32>(b));
}
