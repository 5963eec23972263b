// y[t, o] = sum_k x[t, k] * w[o, k], k rising, from +0; each product and each sum rounded.    Twin: src/ops/linear.ts
//
// w lies in panels of 8 rows, [panel][k][8]: eight outputs of one token are two vectors, and every lane adds its own sum in
// the order of k. Which tokens and rows are worked on together changes nothing in that order; y holds the sums between
// blocks of k, which rounds nothing.
import { fewTokens, PANEL_ROWS, PANEL_STEP, panelBlock, TILE_STEP, TILE_TOKENS } from './blocks/f32_tiles';

/**
 * A matrix x vector product reads this many streams of panels side by side, as many sums as hide the latency of an addition.
 * Each stream is one quarter of the panels, so it runs through memory without a jump: hardware prefetches such streams well,
 * while four neighbouring panels of short rows (18 kB for rows of 576) cost a third of the speed.
 */
const STREAMS = 4;

/** Tokens and k of one block: 128 x 512 activations (256 kB) stay in the second-level cache, 512 x 8 weights in the first. */
const BLOCK_TOKENS = 128;
const BLOCK_K = 512;

/** See Linear in src/exec/wasm/kernels.ts. */
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
  scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  const endPanel = firstPanel + nPanels;
  if (nTokens < TILE_TOKENS) {
    matrixVectors(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, firstPanel, endPanel);
  } else {
    linearPanels<PanelsInPlace>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, firstPanel, endPanel, scratch);
  }
}

/**
 * Where the weights of a format come from: the address of nK k of one panel of 8 rows as f32, [k][8]. k is a multiple of 512;
 * `room` is memory that they may be unpacked to.
 */
export interface Panels {
  panelOf(w: usize, panel: i32, nIn: i32, k: i32, nK: i32, room: usize): usize;
}

/** f32 weights are used where they lie. */
class PanelsInPlace implements Panels {
  panelOf(w: usize, panel: i32, nIn: i32, k: i32, _nK: i32, _room: usize): usize {
    return w + (<usize>panel * <usize>nIn + <usize>k) * PANEL_STEP;
  }
}

/**
 * The product for any format. The compiler makes one copy of this function for each class P, which has a method and no
 * fields: a call of it is a plain call, and no function object in memory is needed.
 * scratch: 128 x min(nIn, 512) activations, then min(nIn, 512) x 8 weights.
 */
export function linearPanels<P extends Panels>(
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
  scratch: usize,
): void {
  const panels = changetype<P>(0);
  const unpacked = scratch + ((<usize>(BLOCK_TOKENS * min(nIn, BLOCK_K))) << 2);
  for (let t = 0; t < nTokens; t += BLOCK_TOKENS) {
    const n = min(BLOCK_TOKENS, nTokens - t);
    const yBlock = y + <usize>t * yBytes;
    // At least one block of k, so that a sum of nothing is stored too.
    let k = 0;
    do {
      const nK = min(BLOCK_K, nIn - k);
      const xBlock = x + <usize>t * xBytes + ((<usize>k) << 2);
      interleaveTokens(scratch, xBlock, xBytes, n, nK);
      for (let p = firstPanel; p < endPanel; p++) {
        const row = p * PANEL_ROWS;
        const panel = panels.panelOf(w, p, nIn, k, nK, unpacked);
        const at = yBlock + ((<usize>row) << 2);
        panelBlock(at, yBytes, scratch, xBlock, xBytes, n, nK, panel, nOut - row, k > 0);
      }
      k += BLOCK_K;
    } while (k < nIn);
  }
}

/** Whole tiles of tokens as [tile][k][4]: a tile reads its activations through one address. */
function interleaveTokens(to: usize, x: usize, xBytes: usize, nTokens: i32, nK: i32): void {
  for (; nTokens >= TILE_TOKENS; nTokens -= TILE_TOKENS, x += xBytes << 2) {
    let xa = x;
    let xb = xa + xBytes;
    let xc = xb + xBytes;
    let xd = xc + xBytes;
    const endSimd = xa + ((<usize>(nK & ~3)) << 2);
    const end = xa + ((<usize>nK) << 2);
    for (; xa < endSimd; to += 4 * TILE_STEP) {
      // A square of 4 tokens x 4 k, turned over its diagonal.
      const a = v128.load(xa);
      const b = v128.load(xb);
      const c = v128.load(xc);
      const d = v128.load(xd);
      const abLow = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
      const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
      const cdLow = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
      const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
      v128.store(to, v128.shuffle<f64>(abLow, cdLow, 0, 2));
      v128.store(to, v128.shuffle<f64>(abLow, cdLow, 1, 3), TILE_STEP);
      v128.store(to, v128.shuffle<f64>(abHigh, cdHigh, 0, 2), 2 * TILE_STEP);
      v128.store(to, v128.shuffle<f64>(abHigh, cdHigh, 1, 3), 3 * TILE_STEP);
      xa += 16;
      xb += 16;
      xc += 16;
      xd += 16;
    }
    for (; xa < end; to += TILE_STEP) {
      store<f32>(to, load<f32>(xa));
      store<f32>(to, load<f32>(xb), 4);
      store<f32>(to, load<f32>(xc), 8);
      store<f32>(to, load<f32>(xd), 12);
      xa += 4;
      xb += 4;
      xc += 4;
      xd += 4;
    }
  }
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
    // The last panels, which make no whole quarters or have rows beyond nOut, go one by one.
    const quarter = max(0, min(endPanel, nOut / PANEL_ROWS) - firstPanel) / STREAMS;
    const step = <usize>quarter * panelBytes;
    for (const end = p + quarter; p < end; p++) {
      vector4x8(
        y + ((<usize>(p * PANEL_ROWS)) << 2),
        <usize>quarter * PANEL_STEP,
        x,
        nIn,
        w + <usize>p * panelBytes,
        step,
      );
    }
    p = firstPanel + STREAMS * quarter;
  }
  for (; p < endPanel; p++) {
    const row = p * PANEL_ROWS;
    const panel = w + <usize>p * panelBytes;
    fewTokens(y + ((<usize>row) << 2), yBytes, x, xBytes, nTokens, nIn, panel, nOut - row, false);
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
