// y[t, i] = gelu(gate[t, i]) * up[t, i], rows that may lie within longer ones; y may be gate or up.    Twin: src/ops/geglu.ts
import { Activation, gatedRows } from './blocks/gated_rows';
import { gelu4 } from './gelu_f32';

/** See Gated in src/exec/wasm/kernels.ts. */
export function gegluF32(
  y: usize,
  yStride: i32,
  gate: usize,
  gateStride: i32,
  up: usize,
  upStride: i32,
  nTokens: i32,
  width: i32,
): void {
  gatedRows<Gelu>(y, yStride, gate, gateStride, up, upStride, nTokens, width);
}

class Gelu implements Activation {
  of(x: v128): v128 {
    return gelu4(x);
  }
}
