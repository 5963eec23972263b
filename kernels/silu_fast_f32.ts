// y[i] = x[i] / (1 + exp(-x[i])) with a shorter exp; y may be x.    Twin: src/ops/silu_fast.ts
import { expFast4, loadLanes, storeLanes } from './lanes';

export function siluFastF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, siluFast4(v128.load(x)));
  if (n & 3) storeLanes(y, siluFast4(loadLanes(x, n & 3)), n & 3);
}

export function siluFast4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), expFast4(f32x4.neg(x))));
}
