// y[t, i] = act(gate[t, i]) * up[t, i], rows that may lie within longer ones: what the kernels of gated activations share.
import { loadLanes, storeLanes } from '../lanes';

/** What is done to a gate. Classes have methods and no fields: see linearPanels in linear_f32.ts. */
export interface Activation {
  /** In four lanes. */
  of(x: v128): v128;
}

/** See Gated in src/exec/wasm/kernels.ts; y may be gate or up. */
export function gatedRows<A extends Activation>(
  y: usize,
  yStride: i32,
  gate: usize,
  gateStride: i32,
  up: usize,
  upStride: i32,
  nTokens: i32,
  width: i32,
): void {
  const act = changetype<A>(0);
  const simdBytes = (<usize>(width & ~3)) << 2;
  const tail = width & 3;
  for (let t = 0; t < nTokens; t++) {
    let i: usize = 0;
    for (; i < simdBytes; i += 16) {
      v128.store(y + i, f32x4.mul(act.of(v128.load(gate + i)), v128.load(up + i)));
    }
    if (tail) storeLanes(y + i, f32x4.mul(act.of(loadLanes(gate + i, tail)), loadLanes(up + i, tail)), tail);
    y += (<usize>yStride) << 2;
    gate += (<usize>gateStride) << 2;
    up += (<usize>upStride) << 2;
  }
}
