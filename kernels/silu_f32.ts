// y[i] = x[i] / (1 + exp(-x[i])); y may be x.    Twin: src/ops/silu.ts
import { exp4, loadLanes, storeLanes } from './lanes';

export function siluF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, silu4(v128.load(x)));
  if (n & 3) storeLanes(y, silu4(loadLanes(x, n & 3)), n & 3);
}

/** In four lanes. */
export function silu4(x: v128): v128 {
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp4(f32x4.neg(x))));
}
