// y[i] = cap * tanh(x[i] / cap); y may be x.    Twin: src/ops/soft_cap.ts
import { loadLanes, softCap4, storeLanes } from './lanes';

export function softCapF32(y: usize, x: usize, n: i32, cap: f32): void {
  const cap4 = f32x4.splat(cap);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, softCap4(v128.load(x), cap4));
  if (n & 3) storeLanes(y, softCap4(loadLanes(x, n & 3), cap4), n & 3);
}
