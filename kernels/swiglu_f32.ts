// y[t, i] = silu(gate[t, i]) * up[t, i], rows that may lie within longer ones; y may be gate or up.    Twin: src/ops/swiglu.ts
import { Activation, gatedRows } from './blocks/gated_rows';
import { silu4 } from './silu_f32';

/** See Gated in src/exec/wasm/kernels.ts. */
export function swigluF32(
  y: usize,
  yStride: i32,
  gate: usize,
  gateStride: i32,
  up: usize,
  upStride: i32,
  nTokens: i32,
  width: i32,
): void {
  gatedRows<Silu>(y, yStride, gate, gateStride, up, upStride, nTokens, width);
}

class Silu implements Activation {
  of(x: v128): v128 {
    return silu4(x);
  }
}
