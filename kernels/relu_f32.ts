// y[i] = max(x[i], 0); y may be x.    Twin: src/ops/relu.ts
import { loadLanes, storeLanes } from './lanes';

export function reluF32(y: usize, x: usize, n: i32): void {
  const zero = f32x4.splat(0);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, f32x4.max(v128.load(x), zero));
  if (n & 3) storeLanes(y, f32x4.max(loadLanes(x, n & 3), zero), n & 3);
}
