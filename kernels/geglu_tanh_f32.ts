// y[t, i] = gelu_tanh(gate[t, i]) * up[t, i], rows that may lie within longer ones; y may be gate or up.    Twin: src/ops/geglu_tanh.ts
import { Activation, gatedRows } from './blocks/gated_rows';
import { geluTanh4 } from './gelu_tanh_f32';

/** See Gated in src/exec/wasm/kernels.ts. */
export function gegluTanhF32(
  y: usize,
  yStride: i32,
  gate: usize,
  gateStride: i32,
  up: usize,
  upStride: i32,
  nTokens: i32,
  width: i32,
): void {
  gatedRows<GeluTanh>(y, yStride, gate, gateStride, up, upStride, nTokens, width);
}

class GeluTanh implements Activation {
  of(x: v128): v128 {
    return geluTanh4(x);
  }
}
