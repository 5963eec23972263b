// Tokens x one panel of 8 rows of f32 weights, [k][8]: the tiles of linear_f32.ts, which tells how they are put together.
//                                                                              Twin: src/ops/linear.ts
import { loadLanes, storeLanes } from '../lanes';

/** Rows of a panel, and bytes of one k of it. */
export const PANEL_ROWS = 8;
export const PANEL_STEP: usize = 32;

/** Tokens of a tile, and bytes of one k of it. */
export const TILE_TOKENS = 4;
export const TILE_STEP: usize = 16;

/**
 * nTokens x (up to 8 rows, `width` of which exist) over nK; `more` goes on from the sums in y.
 * tiles: the whole tiles of tokens, interleaved; x: all tokens as rows, of which the last 1 to 3 are read.
 */
export function panelBlock(
  y: usize,
  yBytes: usize,
  tiles: usize,
  x: usize,
  xBytes: usize,
  nTokens: i32,
  nK: i32,
  panel: usize,
  width: i32,
  more: bool,
): void {
  const nTiles = nTokens / TILE_TOKENS;
  if (width >= PANEL_ROWS) tiles4x8<WholeRows>(y, yBytes, tiles, nTiles, nK, panel, width, more);
  else tiles4x8<SomeRows>(y, yBytes, tiles, nTiles, nK, panel, width, more);
  y += <usize>(nTiles * TILE_TOKENS) * yBytes;
  x += <usize>(nTiles * TILE_TOKENS) * xBytes;
  fewTokens(y, yBytes, x, xBytes, nTokens % TILE_TOKENS, nK, panel, width, more);
}

/** 0 to 3 tokens x one panel. */
export function fewTokens(
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
  if (width >= PANEL_ROWS) fewTokensOf<WholeRows>(y, yBytes, x, xBytes, nTokens, nK, panel, width, more);
  else fewTokensOf<SomeRows>(y, yBytes, x, xBytes, nTokens, nK, panel, width, more);
}

function fewTokensOf<R extends Rows>(
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
  if (nTokens === 3) tile3x8<R>(y, yBytes, x, xBytes, nK, panel, width, more);
  else if (nTokens === 2) tile2x8<R>(y, yBytes, x, xBytes, nK, panel, width, more);
  else if (nTokens === 1) tile1x8<R>(y, x, nK, panel, width, more);
}

/**
 * How the rows of a panel that exist are loaded and stored. Those of whole panels are two vectors side by side, and nothing lies
 * between them that a compiler may not pass: it can make one wide vector of two.
 */
interface Rows {
  first(y: usize, width: i32): v128;
  last(y: usize, width: i32): v128;
  store(y: usize, first: v128, last: v128, width: i32): void;
}

class WholeRows implements Rows {
  first(y: usize, _width: i32): v128 {
    return v128.load(y);
  }

  last(y: usize, _width: i32): v128 {
    return v128.load(y, 16);
  }

  store(y: usize, first: v128, last: v128, _width: i32): void {
    v128.store(y, first);
    v128.store(y, last, 16);
  }
}

class SomeRows implements Rows {
  first(y: usize, width: i32): v128 {
    return loadLanes(y, width);
  }

  last(y: usize, width: i32): v128 {
    return loadLanes(y + 16, width - 4);
  }

  store(y: usize, first: v128, last: v128, width: i32): void {
    storeLanes(y, first, width);
    storeLanes(y + 16, last, width - 4);
  }
}

/**
 * Tiles of four tokens x one panel: eight sums, two weights, four activations and a product fit V8's sixteen registers.
 * The loop over tiles is in this function because V8 unrolls an inner loop of this size only where it is nested.
 */
function tiles4x8<R extends Rows>(
  y: usize,
  yBytes: usize,
  x: usize,
  nTiles: i32,
  nK: i32,
  panel: usize,
  width: i32,
  more: bool,
): void {
  const rows = changetype<R>(0);
  const end = panel + <usize>nK * PANEL_STEP;
  for (let tile = 0; tile < nTiles; tile++, y += yBytes << 2) {
    const y1 = y + yBytes;
    const y2 = y1 + yBytes;
    const y3 = y2 + yBytes;
    let a0 = f32x4.splat(0);
    let a1 = f32x4.splat(0);
    let b0 = f32x4.splat(0);
    let b1 = f32x4.splat(0);
    let c0 = f32x4.splat(0);
    let c1 = f32x4.splat(0);
    let d0 = f32x4.splat(0);
    let d1 = f32x4.splat(0);
    if (more) {
      a0 = rows.first(y, width);
      a1 = rows.last(y, width);
      b0 = rows.first(y1, width);
      b1 = rows.last(y1, width);
      c0 = rows.first(y2, width);
      c1 = rows.last(y2, width);
      d0 = rows.first(y3, width);
      d1 = rows.last(y3, width);
    }
    for (let w = panel; w < end; w += PANEL_STEP, x += TILE_STEP) {
      const w0 = v128.load(w);
      const w1 = v128.load(w, 16);
      const xa = v128.load32_splat(x);
      a0 = f32x4.add(a0, f32x4.mul(xa, w0));
      a1 = f32x4.add(a1, f32x4.mul(xa, w1));
      const xb = v128.load32_splat(x, 4);
      b0 = f32x4.add(b0, f32x4.mul(xb, w0));
      b1 = f32x4.add(b1, f32x4.mul(xb, w1));
      const xc = v128.load32_splat(x, 8);
      c0 = f32x4.add(c0, f32x4.mul(xc, w0));
      c1 = f32x4.add(c1, f32x4.mul(xc, w1));
      const xd = v128.load32_splat(x, 12);
      d0 = f32x4.add(d0, f32x4.mul(xd, w0));
      d1 = f32x4.add(d1, f32x4.mul(xd, w1));
    }
    rows.store(y, a0, a1, width);
    rows.store(y1, b0, b1, width);
    rows.store(y2, c0, c1, width);
    rows.store(y3, d0, d1, width);
  }
}

function tile3x8<R extends Rows>(
  y: usize,
  yBytes: usize,
  x0: usize,
  xBytes: usize,
  nK: i32,
  w: usize,
  width: i32,
  more: bool,
): void {
  const rows = changetype<R>(0);
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
    a0 = rows.first(y, width);
    a1 = rows.last(y, width);
    b0 = rows.first(y1, width);
    b1 = rows.last(y1, width);
    c0 = rows.first(y2, width);
    c1 = rows.last(y2, width);
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
  rows.store(y, a0, a1, width);
  rows.store(y1, b0, b1, width);
  rows.store(y2, c0, c1, width);
}

function tile2x8<R extends Rows>(
  y: usize,
  yBytes: usize,
  x0: usize,
  xBytes: usize,
  nK: i32,
  w: usize,
  width: i32,
  more: bool,
): void {
  const rows = changetype<R>(0);
  const y1 = y + yBytes;
  let x1 = x0 + xBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  if (more) {
    a0 = rows.first(y, width);
    a1 = rows.last(y, width);
    b0 = rows.first(y1, width);
    b1 = rows.last(y1, width);
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
  rows.store(y, a0, a1, width);
  rows.store(y1, b0, b1, width);
}

function tile1x8<R extends Rows>(y: usize, x: usize, nK: i32, w: usize, width: i32, more: bool): void {
  const rows = changetype<R>(0);
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  if (more) {
    a0 = rows.first(y, width);
    a1 = rows.last(y, width);
  }
  const end = x + ((<usize>nK) << 2);
  for (; x < end; x += 4) {
    const xk = v128.load32_splat(x);
    a0 = f32x4.add(a0, f32x4.mul(xk, v128.load(w)));
    a1 = f32x4.add(a1, f32x4.mul(xk, v128.load(w, 16)));
    w += PANEL_STEP;
  }
  rows.store(y, a0, a1, width);
}
