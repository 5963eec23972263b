// Step 5, packed: weights lie in the order in which they are used, so a load replaces load and shuffles.    Before: tiled.ts
//
// w is rewritten once, when a model is loaded, as panels of eight rows: [ceil(nOut / 8)][nIn][8], zeros behind the last row.
// One k of a panel is two neighbouring vectors, the next k comes right behind: a kernel walks straight through memory, which is
// what prefetching hardware expects. A single token gains most, since for it nothing else paid for the shuffles.
import { storeLanes } from '../lanes';

const PANEL_ROWS = 8;
/** Bytes of one k of a panel. */
const PANEL_STEP: usize = 32;
const TILE_TOKENS = 4;
/** Their activations stay in the second-level cache while all panels go by, each of which is read once for them. */
const BLOCK_TOKENS = 32;
/** Panels that one token goes through side by side: eight sums, as many as a tile has. */
const SIDE_BY_SIDE = 4;

export function linearPacked(y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const rowBytes = (<usize>nIn) << 2;
  const yBytes = (<usize>nOut) << 2;
  const nTiled = nTokens - (nTokens % TILE_TOKENS);
  for (let t0 = 0; t0 < nTiled; t0 += BLOCK_TOKENS) {
    const t1 = min(t0 + BLOCK_TOKENS, nTiled);
    for (let o = 0; o < nOut; o += PANEL_ROWS) {
      const panel = w + <usize>o * rowBytes;
      for (let t = t0; t < t1; t += TILE_TOKENS) {
        tile4x8(y + <usize>t * yBytes + ((<usize>o) << 2), yBytes, x + <usize>t * rowBytes, rowBytes, panel, nOut - o);
      }
    }
  }
  for (let t = nTiled; t < nTokens; t++) vector(y + <usize>t * yBytes, x + <usize>t * rowBytes, w, nIn, nOut);
}

/** Four tokens x one panel, `width` rows of which exist. */
function tile4x8(y0: usize, yBytes: usize, xa: usize, rowBytes: usize, w: usize, width: i32): void {
  const y1 = y0 + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let xb = xa + rowBytes;
  let xc = xb + rowBytes;
  let xd = xc + rowBytes;
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  for (const end = xb; xa < end; w += PANEL_STEP) {
    const w0 = v128.load(w);
    const w1 = v128.load(w, 16);
    const a = v128.load32_splat(xa);
    a0 = f32x4.add(a0, f32x4.mul(a, w0));
    a1 = f32x4.add(a1, f32x4.mul(a, w1));
    const b = v128.load32_splat(xb);
    b0 = f32x4.add(b0, f32x4.mul(b, w0));
    b1 = f32x4.add(b1, f32x4.mul(b, w1));
    const c = v128.load32_splat(xc);
    c0 = f32x4.add(c0, f32x4.mul(c, w0));
    c1 = f32x4.add(c1, f32x4.mul(c, w1));
    const d = v128.load32_splat(xd);
    d0 = f32x4.add(d0, f32x4.mul(d, w0));
    d1 = f32x4.add(d1, f32x4.mul(d, w1));
    xa += 4;
    xb += 4;
    xc += 4;
    xd += 4;
  }
  storeLanes(y0, a0, width);
  storeLanes(y0 + 16, a1, width - 4);
  storeLanes(y1, b0, width);
  storeLanes(y1 + 16, b1, width - 4);
  storeLanes(y2, c0, width);
  storeLanes(y2 + 16, c1, width - 4);
  storeLanes(y3, d0, width);
  storeLanes(y3 + 16, d1, width - 4);
}

/** One token: every weight is read once. */
function vector(y: usize, x: usize, w: usize, nIn: i32, nOut: i32): void {
  const panelBytes = <usize>nIn * PANEL_STEP;
  let o = 0;
  for (; o + SIDE_BY_SIDE * PANEL_ROWS <= nOut; o += SIDE_BY_SIDE * PANEL_ROWS) {
    vector4x8(y + ((<usize>o) << 2), x, nIn, w, panelBytes);
    w += SIDE_BY_SIDE * panelBytes;
  }
  for (; o < nOut; o += PANEL_ROWS, w += panelBytes) vector1x8(y + ((<usize>o) << 2), x, nIn, w, nOut - o);
}

function vector4x8(y: usize, x: usize, nIn: i32, w0: usize, panelBytes: usize): void {
  let w1 = w0 + panelBytes;
  let w2 = w1 + panelBytes;
  let w3 = w2 + panelBytes;
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let b0 = a0;
  let b1 = a0;
  let c0 = a0;
  let c1 = a0;
  let d0 = a0;
  let d1 = a0;
  for (const end = x + ((<usize>nIn) << 2); x < end; x += 4) {
    const xk = v128.load32_splat(x);
    a0 = f32x4.add(a0, f32x4.mul(xk, v128.load(w0)));
    a1 = f32x4.add(a1, f32x4.mul(xk, v128.load(w0, 16)));
    b0 = f32x4.add(b0, f32x4.mul(xk, v128.load(w1)));
    b1 = f32x4.add(b1, f32x4.mul(xk, v128.load(w1, 16)));
    c0 = f32x4.add(c0, f32x4.mul(xk, v128.load(w2)));
    c1 = f32x4.add(c1, f32x4.mul(xk, v128.load(w2, 16)));
    d0 = f32x4.add(d0, f32x4.mul(xk, v128.load(w3)));
    d1 = f32x4.add(d1, f32x4.mul(xk, v128.load(w3, 16)));
    w0 += PANEL_STEP;
    w1 += PANEL_STEP;
    w2 += PANEL_STEP;
    w3 += PANEL_STEP;
  }
  v128.store(y, a0);
  v128.store(y, a1, 16);
  v128.store(y, b0, 32);
  v128.store(y, b1, 48);
  v128.store(y, c0, 64);
  v128.store(y, c1, 80);
  v128.store(y, d0, 96);
  v128.store(y, d1, 112);
}

function vector1x8(y: usize, x: usize, nIn: i32, w: usize, width: i32): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  for (const end = x + ((<usize>nIn) << 2); x < end; x += 4, w += PANEL_STEP) {
    const xk = v128.load32_splat(x);
    a0 = f32x4.add(a0, f32x4.mul(xk, v128.load(w)));
    a1 = f32x4.add(a1, f32x4.mul(xk, v128.load(w, 16)));
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, a1, width - 4);
}
