// y[i] = x[i] / 2 * (1 + tanh(sqrt(2 / pi) * (x[i] + 0.044715 x[i]^3))); y may be x.    Twin: src/ops/gelu_tanh.ts
import { loadLanes, storeLanes, tanh4 } from './lanes';

/** 1/2, sqrt(2 / pi), the cubic term's share, rounded to f32, and 1. */
const FACTORS = memory.data<f32>([0.5, 0.7978845834732056, 0.044714998453855515, 1]);

export function geluTanhF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, geluTanh4(v128.load(x)));
  if (n & 3) storeLanes(y, geluTanh4(loadLanes(x, n & 3)), n & 3);
}

/** In four lanes. */
export function geluTanh4(x: v128): v128 {
  const one = v128.load32_splat(FACTORS, 12);
  const cube = f32x4.add(one, f32x4.mul(v128.load32_splat(FACTORS, 8), f32x4.mul(x, x)));
  const inner = f32x4.mul(f32x4.mul(x, v128.load32_splat(FACTORS, 4)), cube);
  return f32x4.mul(f32x4.mul(x, v128.load32_splat(FACTORS)), f32x4.add(one, tanh4(inner)));
}
