// y[i] = x[i] / 2 * (1 + erf(x[i] / sqrt(2))); y may be x.    Twin: src/ops/gelu.ts
import { erf4, loadLanes, storeLanes } from './lanes';

/** 1/2 and the square root of it, rounded to f32. */
const HALVES = memory.data<f32>([0.5, 0.7071067690849304]);

export function geluF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, gelu4(v128.load(x)));
  if (n & 3) storeLanes(y, gelu4(loadLanes(x, n & 3)), n & 3);
}

/** In four lanes. */
export function gelu4(x: v128): v128 {
  const half = f32x4.mul(x, v128.load32_splat(HALVES));
  return f32x4.mul(half, f32x4.add(f32x4.splat(1), erf4(f32x4.mul(x, v128.load32_splat(HALVES, 4)))));
}
