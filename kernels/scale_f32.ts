// y[i] = x[i] * by; y may be x.    Twin: src/ops/scale.ts
import { loadLanes, storeLanes } from './lanes';

export function scaleF32(y: usize, x: usize, n: i32, by: f32): void {
  const by4 = f32x4.splat(by);
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, f32x4.mul(v128.load(x), by4));
  if (n & 3) storeLanes(y, f32x4.mul(loadLanes(x, n & 3), by4), n & 3);
}
