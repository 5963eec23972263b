// y[t, i] = silu_fast(gate[t, i]) * up[t, i], rows that may lie within longer ones; y may be gate or up.    Twin: src/ops/swiglu_fast.ts
import { loadLanes, storeLanes } from './lanes';
import { siluFast4 } from './silu_fast_f32';

/** See Gated in src/exec/wasm/kernels.ts. */
export function swigluFastF32(
  y: usize,
  yStride: i32,
  gate: usize,
  gateStride: i32,
  up: usize,
  upStride: i32,
  nTokens: i32,
  width: i32,
): void {
  const simdBytes = (<usize>(width & ~3)) << 2;
  const tail = width & 3;
  for (let t = 0; t < nTokens; t++) {
    let i: usize = 0;
    for (; i < simdBytes; i += 16) {
      v128.store(y + i, f32x4.mul(siluFast4(v128.load(gate + i)), v128.load(up + i)));
    }
    if (tail) storeLanes(y + i, f32x4.mul(siluFast4(loadLanes(gate + i, tail)), loadLanes(up + i, tail)), tail);
    y += (<usize>yStride) << 2;
    gate += (<usize>gateStride) << 2;
    up += (<usize>upStride) << 2;
  }
}
