// y[t, o] = sum_k x[t, k] * w[o, k] with bf16 weights, in the order of linear_f32.ts.    Twin: src/ops/linear.ts
//
// w lies in panels of 8 rows, [panel][k][8]: one vector is one k of eight outputs. Decoding is exact, so it does not matter
// whether a weight is decoded once for each token (one token) or into a panel of f32 before (several).
import { interleaveFirst, interleaveLast } from './lanes';
import { linearPanels, Panels } from './linear_f32';

const PANEL_ROWS = 8;
/** Bytes of one k of a panel, stored and as f32. */
const PANEL_STEP: usize = 16;
const F32_STEP: usize = 32;
/** Streams of panels that a matrix x vector product reads side by side; see linear_f32.ts. */
const STREAMS = 4;

/** See Linear in src/exec/wasm/kernels.ts. */
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
    // The last panels, which make no whole quarters or have rows beyond nOut, go one by one.
    const quarter = max(0, min(endPanel, nOut / PANEL_ROWS) - firstPanel) / STREAMS;
    const step = <usize>quarter * panelBytes;
    for (const end = p + quarter; p < end; p++) {
      vector4x8(
        y + ((<usize>(p * PANEL_ROWS)) << 2),
        <usize>quarter * F32_STEP,
        x,
        nIn,
        w + <usize>p * panelBytes,
        step,
      );
    }
    p = firstPanel + STREAMS * quarter;
  }
  linearPanels<Bf16Panels>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, p, endPanel, scratch);
}

/** nK of one panel as f32, [k][8]. */
class Bf16Panels implements Panels {
  panelOf(w: usize, panel: i32, nIn: i32, k: i32, nK: i32, room: usize): usize {
    const zero = i16x8.splat(0); // a bf16 is the upper half of its f32
    let from = w + (<usize>panel * <usize>nIn + <usize>k) * PANEL_STEP;
    const end = from + <usize>nK * PANEL_STEP;
    for (let at = room; from < end; from += PANEL_STEP, at += F32_STEP) {
      const h = v128.load(from);
      v128.store(at, interleaveFirst(zero, h));
      v128.store(at, interleaveLast(zero, h), 16);
    }
    return room;
  }
}

/** One token x four panels of 8 rows, yStep and wStep bytes apart: eight sums in registers. */
function vector4x8(y: usize, yStep: usize, x: usize, nK: i32, w0: usize, wStep: usize): void {
  let w1 = w0 + wStep;
  let w2 = w1 + wStep;
  let w3 = w2 + wStep;
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
  y += yStep;
  v128.store(y, a2);
  v128.store(y, a3, 16);
  y += yStep;
  v128.store(y, a4);
  v128.store(y, a5, 16);
  y += yStep;
  v128.store(y, a6);
  v128.store(y, a7, 16);
}
