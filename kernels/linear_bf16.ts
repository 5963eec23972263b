// y[t, o] = sum_k x[t, k] * w[o, k] with bf16 weights, in the order of linear_f32.ts.    Twin: src/ops/linear.ts
//
// w lies in panels of 8 rows, [panel][k][8]: one vector is one k of eight outputs. Decoding is exact, so it does not matter
// whether a weight is decoded once for each token (one token) or into a panel of f32 before (several).
import { interleaveFirst, interleaveLast } from './lanes';
import { linearPanelF32 } from './linear_f32';

const PANEL_ROWS = 8;
/** Bytes of one k of a panel, stored and as f32. */
const PANEL_STEP: usize = 16;
const F32_STEP: usize = 32;
/** Panels that a matrix x vector product walks at once. */
const WALKED_PANELS = 4;

/** See Linear in src/exec/wasm/kernels.ts. scratch: one panel of f32, [nIn][8]. */
export function linearBf16(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  const panelBytes = <usize>nIn * PANEL_STEP;
  const endPanel = firstPanel + nPanels;
  let p = firstPanel;
  if (nTokens === 1) {
    // Whole groups of panels without rows beyond nOut.
    const lastWalk = min(endPanel, nOut / PANEL_ROWS) - WALKED_PANELS;
    for (; p <= lastWalk; p += WALKED_PANELS) {
      vector32(y + ((<usize>(p * PANEL_ROWS)) << 2), x, nIn, w + <usize>p * panelBytes, panelBytes);
    }
  }
  for (; p < endPanel; p++) {
    const row = p * PANEL_ROWS;
    unpackPanel(scratch, w + <usize>p * panelBytes, nIn);
    linearPanelF32(y + ((<usize>row) << 2), yBytes, x, xBytes, nTokens, nIn, scratch, nOut - row);
  }
}

/** One panel as f32, [k][8]. */
function unpackPanel(to: usize, panel: usize, nIn: i32): void {
  const zero = i16x8.splat(0); // a bf16 is the upper half of its f32
  const end = panel + <usize>nIn * PANEL_STEP;
  for (; panel < end; panel += PANEL_STEP, to += F32_STEP) {
    const h = v128.load(panel);
    v128.store(to, interleaveFirst(zero, h));
    v128.store(to, interleaveLast(zero, h), 16);
  }
}

/** One token x 32 rows: eight sums in registers, four streams of weights. */
function vector32(y: usize, x: usize, nK: i32, w0: usize, panelBytes: usize): void {
  let w1 = w0 + panelBytes;
  let w2 = w1 + panelBytes;
  let w3 = w2 + panelBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let a4 = f32x4.splat(0);
  let a5 = f32x4.splat(0);
  let a6 = f32x4.splat(0);
  let a7 = f32x4.splat(0);
  const zero = i16x8.splat(0);
  const end = x + ((<usize>nK) << 2);
  for (; x < end; x += 4) {
    const xk = v128.load32_splat(x);
    const h0 = v128.load(w0);
    a0 = f32x4.add(a0, f32x4.mul(xk, interleaveFirst(zero, h0)));
    a1 = f32x4.add(a1, f32x4.mul(xk, interleaveLast(zero, h0)));
    const h1 = v128.load(w1);
    a2 = f32x4.add(a2, f32x4.mul(xk, interleaveFirst(zero, h1)));
    a3 = f32x4.add(a3, f32x4.mul(xk, interleaveLast(zero, h1)));
    const h2 = v128.load(w2);
    a4 = f32x4.add(a4, f32x4.mul(xk, interleaveFirst(zero, h2)));
    a5 = f32x4.add(a5, f32x4.mul(xk, interleaveLast(zero, h2)));
    const h3 = v128.load(w3);
    a6 = f32x4.add(a6, f32x4.mul(xk, interleaveFirst(zero, h3)));
    a7 = f32x4.add(a7, f32x4.mul(xk, interleaveLast(zero, h3)));
    w0 += PANEL_STEP;
    w1 += PANEL_STEP;
    w2 += PANEL_STEP;
    w3 += PANEL_STEP;
  }
  v128.store(y, a0);
  v128.store(y, a1, 16);
  v128.store(y, a2, 32);
  v128.store(y, a3, 48);
  v128.store(y, a4, 64);
  v128.store(y, a5, 80);
  v128.store(y, a6, 96);
  v128.store(y, a7, 112);
}
