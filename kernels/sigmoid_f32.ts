// y[i] = 1 / (1 + exp(-x[i])); y may be x.    Twin: src/ops/sigmoid.ts
import { exp4, loadLanes, storeLanes } from './lanes';

export function sigmoidF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, sigmoid4(v128.load(x)));
  if (n & 3) storeLanes(y, sigmoid4(loadLanes(x, n & 3)), n & 3);
}

function sigmoid4(x: v128): v128 {
  const one = f32x4.splat(1);
  return f32x4.div(one, f32x4.add(one, exp4(f32x4.neg(x))));
}
