// y[i] = x[i] / (1 + exp(-1.702 x[i])); y may be x.    Twin: src/ops/quick_gelu.ts
import { exp4, loadLanes, storeLanes } from './lanes';

export function quickGeluF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, quickGelu4(v128.load(x)));
  if (n & 3) storeLanes(y, quickGelu4(loadLanes(x, n & 3)), n & 3);
}

function quickGelu4(x: v128): v128 {
  const z = f32x4.mul(x, f32x4.splat(1.702));
  return f32x4.div(x, f32x4.add(f32x4.splat(1), exp4(f32x4.neg(z))));
}
