// y[i] = tanh(x[i]); y may be x.    Twin: src/ops/tanh.ts
import { loadLanes, storeLanes, tanh4 } from './lanes';

export function tanhF32(y: usize, x: usize, n: i32): void {
  const end = x + ((<usize>(n & ~3)) << 2);
  for (; x < end; x += 16, y += 16) v128.store(y, tanh4(v128.load(x)));
  if (n & 3) storeLanes(y, tanh4(loadLanes(x, n & 3)), n & 3);
}
