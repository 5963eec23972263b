// y[t, o] = sum_k x[t, k] * w[o, k], k rising, from +0; each product and each sum rounded.    Twin: src/ops/linear.ts
//
// w lies in panels of 8 rows, [panel][k][8]: eight outputs of one token are two vectors, and every lane adds its own sum in
// the order of k. Which tokens and rows are worked on together changes nothing in that order.
import { loadLanes, storeLanes } from './lanes';

/** Rows of a panel, and bytes of one k of it. */
const PANEL_ROWS = 8;
const PANEL_STEP: usize = 32;

/** Panels that a matrix x vector product walks at once: 32 rows, as many sums as hide the latency of an addition. */
const WALKED_PANELS = 4;

/** Tokens and k of one block: 128 x 512 activations (256 kB) stay in the second-level cache, 512 x 8 weights in the first. */
const BLOCK_TOKENS = 128;
const BLOCK_K = 512;

/** See Linear in src/exec/wasm/kernels.ts. The scratch is not needed: the weights are f32 already. */
export function linearF32(
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
  _scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  const panelBytes = <usize>nIn * PANEL_STEP;
  const endPanel = firstPanel + nPanels;
  if (nTokens < 4) {
    matrixVectors(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, firstPanel, endPanel);
    return;
  }
  for (let t = 0; t < nTokens; t += BLOCK_TOKENS) {
    const n = min(BLOCK_TOKENS, nTokens - t);
    const yt = y + <usize>t * yBytes;
    const xt = x + <usize>t * xBytes;
    // At least one block of k, so that a sum of nothing is stored too.
    let k = 0;
    do {
      const nK = min(BLOCK_K, nIn - k);
      for (let p = firstPanel; p < endPanel; p++) {
        const row = p * PANEL_ROWS;
        const panel = w + <usize>p * panelBytes + <usize>k * PANEL_STEP;
        panelBlockF32(
          yt + ((<usize>row) << 2),
          yBytes,
          xt + ((<usize>k) << 2),
          xBytes,
          n,
          nK,
          panel,
          nOut - row,
          k > 0,
        );
      }
      k += BLOCK_K;
    } while (k < nIn);
  }
}

/** All tokens times one panel of f32 weights, in blocks of k. For kernels that unpack a panel first. */
export function linearPanelF32(
  y: usize,
  yBytes: usize,
  x: usize,
  xBytes: usize,
  nTokens: i32,
  nIn: i32,
  panel: usize,
  width: i32,
): void {
  let k = 0;
  do {
    const nK = min(BLOCK_K, nIn - k);
    const at = panel + <usize>k * PANEL_STEP;
    panelBlockF32(y, yBytes, x + ((<usize>k) << 2), xBytes, nTokens, nK, at, width, k > 0);
    k += BLOCK_K;
  } while (k < nIn);
}

/** nTokens x (up to 8 rows, `width` of which exist) over nK; `more` goes on from the sums in y. */
function panelBlockF32(
  y: usize,
  yBytes: usize,
  x: usize,
  xBytes: usize,
  nTokens: i32,
  nK: i32,
  panel: usize,
  width: i32,
  more: bool,
): void {
  for (; nTokens >= 4; nTokens -= 4) {
    tile4x8(y, yBytes, x, xBytes, nK, panel, width, more);
    y += yBytes << 2;
    x += xBytes << 2;
  }
  if (nTokens === 3) tile3x8(y, yBytes, x, xBytes, nK, panel, width, more);
  else if (nTokens === 2) tile2x8(y, yBytes, x, xBytes, nK, panel, width, more);
  else if (nTokens === 1) tile1x8(y, x, nK, panel, width, more);
}

/** 1 to 3 tokens: read every weight once, at the speed of memory. */
function matrixVectors(
  y: usize,
  yBytes: usize,
  x: usize,
  xBytes: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  endPanel: i32,
): void {
  const panelBytes = <usize>nIn * PANEL_STEP;
  let p = firstPanel;
  if (nTokens === 1) {
    // Whole groups of panels; a group that has rows beyond nOut goes panel by panel.
    const lastWalk = min(endPanel, nOut / PANEL_ROWS) - WALKED_PANELS;
    for (; p <= lastWalk; p += WALKED_PANELS) {
      vector32(y + ((<usize>(p * PANEL_ROWS)) << 2), x, nIn, w + <usize>p * panelBytes, panelBytes);
    }
  }
  for (; p < endPanel; p++) {
    const row = p * PANEL_ROWS;
    const panel = w + <usize>p * panelBytes;
    panelBlockF32(y + ((<usize>row) << 2), yBytes, x, xBytes, nTokens, nIn, panel, nOut - row, false);
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
  const end = x + ((<usize>nK) << 2);
  for (; x < end; x += 4) {
    const xk = v128.load32_splat(x);
    a0 = f32x4.add(a0, f32x4.mul(xk, v128.load(w0)));
    a1 = f32x4.add(a1, f32x4.mul(xk, v128.load(w0, 16)));
    a2 = f32x4.add(a2, f32x4.mul(xk, v128.load(w1)));
    a3 = f32x4.add(a3, f32x4.mul(xk, v128.load(w1, 16)));
    a4 = f32x4.add(a4, f32x4.mul(xk, v128.load(w2)));
    a5 = f32x4.add(a5, f32x4.mul(xk, v128.load(w2, 16)));
    a6 = f32x4.add(a6, f32x4.mul(xk, v128.load(w3)));
    a7 = f32x4.add(a7, f32x4.mul(xk, v128.load(w3, 16)));
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

/** Four tokens x one panel: eight sums, two weights, one activation and its products fit V8's sixteen registers. */
function tile4x8(y: usize, yBytes: usize, x0: usize, xBytes: usize, nK: i32, w: usize, width: i32, more: bool): void {
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let x1 = x0 + xBytes;
  let x2 = x1 + xBytes;
  let x3 = x2 + xBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  if (more) {
    a0 = loadLanes(y, width);
    a1 = loadLanes(y + 16, width - 4);
    b0 = loadLanes(y1, width);
    b1 = loadLanes(y1 + 16, width - 4);
    c0 = loadLanes(y2, width);
    c1 = loadLanes(y2 + 16, width - 4);
    d0 = loadLanes(y3, width);
    d1 = loadLanes(y3 + 16, width - 4);
  }
  const end = x0 + ((<usize>nK) << 2);
  for (; x0 < end; x0 += 4) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const xa = v128.load32_splat(x0);
    a0 = f32x4.add(a0, f32x4.mul(xa, w0));
    a1 = f32x4.add(a1, f32x4.mul(xa, w1));
    const xb = v128.load32_splat(x1);
    b0 = f32x4.add(b0, f32x4.mul(xb, w0));
    b1 = f32x4.add(b1, f32x4.mul(xb, w1));
    const xc = v128.load32_splat(x2);
    c0 = f32x4.add(c0, f32x4.mul(xc, w0));
    c1 = f32x4.add(c1, f32x4.mul(xc, w1));
    const xd = v128.load32_splat(x3);
    d0 = f32x4.add(d0, f32x4.mul(xd, w0));
    d1 = f32x4.add(d1, f32x4.mul(xd, w1));
    x1 += 4;
    x2 += 4;
    x3 += 4;
    w += PANEL_STEP;
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, a1, width - 4);
  storeLanes(y1, b0, width);
  storeLanes(y1 + 16, b1, width - 4);
  storeLanes(y2, c0, width);
  storeLanes(y2 + 16, c1, width - 4);
  storeLanes(y3, d0, width);
  storeLanes(y3 + 16, d1, width - 4);
}

function tile3x8(y: usize, yBytes: usize, x0: usize, xBytes: usize, nK: i32, w: usize, width: i32, more: bool): void {
  const y1 = y + yBytes;
  const y2 = y1 + yBytes;
  let x1 = x0 + xBytes;
  let x2 = x1 + xBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  if (more) {
    a0 = loadLanes(y, width);
    a1 = loadLanes(y + 16, width - 4);
    b0 = loadLanes(y1, width);
    b1 = loadLanes(y1 + 16, width - 4);
    c0 = loadLanes(y2, width);
    c1 = loadLanes(y2 + 16, width - 4);
  }
  const end = x0 + ((<usize>nK) << 2);
  for (; x0 < end; x0 += 4) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const xa = v128.load32_splat(x0);
    a0 = f32x4.add(a0, f32x4.mul(xa, w0));
    a1 = f32x4.add(a1, f32x4.mul(xa, w1));
    const xb = v128.load32_splat(x1);
    b0 = f32x4.add(b0, f32x4.mul(xb, w0));
    b1 = f32x4.add(b1, f32x4.mul(xb, w1));
    const xc = v128.load32_splat(x2);
    c0 = f32x4.add(c0, f32x4.mul(xc, w0));
    c1 = f32x4.add(c1, f32x4.mul(xc, w1));
    x1 += 4;
    x2 += 4;
    w += PANEL_STEP;
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, a1, width - 4);
  storeLanes(y1, b0, width);
  storeLanes(y1 + 16, b1, width - 4);
  storeLanes(y2, c0, width);
  storeLanes(y2 + 16, c1, width - 4);
}

function tile2x8(y: usize, yBytes: usize, x0: usize, xBytes: usize, nK: i32, w: usize, width: i32, more: bool): void {
  const y1 = y + yBytes;
  let x1 = x0 + xBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  if (more) {
    a0 = loadLanes(y, width);
    a1 = loadLanes(y + 16, width - 4);
    b0 = loadLanes(y1, width);
    b1 = loadLanes(y1 + 16, width - 4);
  }
  const end = x0 + ((<usize>nK) << 2);
  for (; x0 < end; x0 += 4) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const xa = v128.load32_splat(x0);
    a0 = f32x4.add(a0, f32x4.mul(xa, w0));
    a1 = f32x4.add(a1, f32x4.mul(xa, w1));
    const xb = v128.load32_splat(x1);
    b0 = f32x4.add(b0, f32x4.mul(xb, w0));
    b1 = f32x4.add(b1, f32x4.mul(xb, w1));
    x1 += 4;
    w += PANEL_STEP;
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, a1, width - 4);
  storeLanes(y1, b0, width);
  storeLanes(y1 + 16, b1, width - 4);
}

function tile1x8(y: usize, x: usize, nK: i32, w: usize, width: i32, more: bool): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  if (more) {
    a0 = loadLanes(y, width);
    a1 = loadLanes(y + 16, width - 4);
  }
  const end = x + ((<usize>nK) << 2);
  for (; x < end; x += 4) {
    const xk = v128.load32_splat(x);
    a0 = f32x4.add(a0, f32x4.mul(xk, v128.load(w)));
    a1 = f32x4.add(a1, f32x4.mul(xk, v128.load(w, 16)));
    w += PANEL_STEP;
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, a1, width - 4);
}
