// y[t, i] = silu_fast(gate[t, i]) * up[t, i], rows that may lie within longer ones; y may be gate or up.    Twin: src/ops/swiglu_fast.ts
import { Activation, gatedRows } from './blocks/gated_rows';
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
  gatedRows<SiluFast>(y, yStride, gate, gateStride, up, upStride, nTokens, width);
}

class SiluFast implements Activation {
  of(x: v128): v128 {
    return siluFast4(x);
  }
}
