// Matrix x vector for formats whose records are 16 rows x 32 columns, [byte / 4][row][byte % 4], then 16 f16 scales, w = d * code:
//   y[o] = sum over blocks b of (dw[o, b] * da[b]) * inner[o, b], b rising, from +0.         Twin: src/ops/linear_q8.ts
// Two streams of panels are read side by side, each through half of them: hardware prefetches two such streams better than one, and while one
// waits at the end of a page of memory, the other goes on. Lanes are rows.
import { f16AllFinite, f16ToF32x4, finiteF16ToF32x4, storeLanes } from '../lanes';
import { ACTIVATION_BYTES, GROUP_TOKENS, groupTokens, scaleOf } from './q8_record';

/** Rows of a panel. */
const PANEL_ROWS = 16;
/** Four of them give nothing more, eight meet in the same lines of a first-level cache of eight ways. */
const STREAMS = 2;
/** The same four bytes of 16 rows: four vectors. */
export const STEP_BYTES: usize = 64;
/** Bytes of the scales of a record. */
const SCALE_BYTES: usize = 32;

/** Tokens beyond whole groups that are worth a walk over the weights of their own; more of them fill up a group. */
const FEW_TOKENS = 2;

/** How a format takes the products within a block. Classes have methods and no fields: see linearPanels in linear_f32.ts. */
export interface CodedRecords {
  /** Bytes of the codes of a record. */
  codeBytes(): usize;
  /** What the sums of a block begin with; q: its activations. */
  start(q: usize): v128;
  /** Up to four operands made of the activations that the step at byte i is multiplied with: its vectors share them. */
  first(q: usize, i: usize): v128;
  second(q: usize, i: usize): v128;
  third(q: usize, i: usize): v128;
  fourth(q: usize, i: usize): v128;
  /** sums + the products of these 16 bytes, c. */
  dot(sums: v128, c: v128, first: v128, second: v128, third: v128, fourth: v128, mask: v128): v128;
  /** What dot takes as mask. */
  mask(): v128;
  /** The exact sums over a block, four i32. */
  inner(sums: v128): v128;
}

/** How many of the first tokens a matrix x matrix product takes; the others go one by one. */
export function tiledTokens(nTokens: i32): i32 {
  if (nTokens < GROUP_TOKENS) return 0;
  const nOver = nTokens % GROUP_TOKENS;
  return nOver <= FEW_TOKENS ? nTokens - nOver : nTokens;
}

/** The tokens from `first` on, a multiple of GROUP_TOKENS, all of them in y and q. */
export function codedVectors<F extends CodedRecords>(
  y: usize,
  yBytes: usize,
  q: usize,
  first: i32,
  nTokens: i32,
  nBlocks: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  endPanel: i32,
): void {
  const nGrouped = groupTokens(nTokens);
  const step = <usize>nGrouped * ACTIVATION_BYTES; // from a token's block to its next one
  y += <usize>first * yBytes;
  q += <usize>(first * nBlocks) * ACTIVATION_BYTES;
  for (let t = first; t < nTokens; t++, y += yBytes) {
    vectorPanels<F>(y, q, step, nBlocks, w, nOut, firstPanel, endPanel);
    q += nGrouped === 1 ? <usize>nBlocks * ACTIVATION_BYTES : ACTIVATION_BYTES;
  }
}

/** One token x all panels. */
function vectorPanels<F extends CodedRecords>(
  y: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  endPanel: i32,
): void {
  const panelBytes = <usize>nBlocks * (changetype<F>(0).codeBytes() + SCALE_BYTES);
  // The last panels, which make no whole stream or have rows beyond nOut, go one by one.
  const part = max(0, min(endPanel, nOut / PANEL_ROWS) - firstPanel) / STREAMS;
  const wStep = <usize>part * panelBytes;
  const yStep = (<usize>(part * PANEL_ROWS)) << 2;
  let p = firstPanel;
  for (const end = p + part; p < end; p++) {
    const at = y + ((<usize>(p * PANEL_ROWS)) << 2);
    const panel = w + <usize>p * panelBytes;
    if (!vectorStreams<F>(at, yStep, q, step, nBlocks, panel, wStep)) {
      for (let s = 0; s < STREAMS; s++) {
        vector16<F>(at + <usize>s * yStep, q, step, nBlocks, panel + <usize>s * wStep, PANEL_ROWS);
      }
    }
  }
  for (p = firstPanel + STREAMS * part; p < endPanel; p++) {
    const row = p * PANEL_ROWS;
    vector16<F>(y + ((<usize>row) << 2), q, step, nBlocks, w + <usize>p * panelBytes, nOut - row);
  }
}

/** acc + (dw * da) * inner. */
function addBlock(acc: v128, dw: v128, da: v128, inner: v128): v128 {
  return f32x4.add(acc, f32x4.mul(f32x4.mul(dw, da), f32x4.convert_i32x4_s(inner)));
}

/** `seen` and the magnitudes of 16 scales: the largest in each 16-bit lane, twice their bits. */
function largestScales(seen: v128, scales: usize): v128 {
  const first = i16x8.shl(v128.load(scales), 1);
  const last = i16x8.shl(v128.load(scales, 16), 1);
  return i16x8.max_u(i16x8.max_u(seen, first), last);
}

/**
 * One token x a panel of each stream, yStep and wStep bytes apart; the f32 sums wait in y. False when a scale is not finite, and y is
 * then of no use: that is seen at the end, and costs less than a conversion that knows them.
 */
function vectorStreams<F extends CodedRecords>(
  y: usize,
  yStep: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  r: usize,
  wStep: usize,
): bool {
  const format = changetype<F>(0);
  const codeBytes = format.codeBytes();
  const mask = format.mask();
  for (let s = 0; s < STREAMS; s++) memory.fill(y + <usize>s * yStep, 0, 4 * PANEL_ROWS);
  let seen = i16x8.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, r += codeBytes + SCALE_BYTES) {
    const start = format.start(q);
    const da = scaleOf(q);
    let t = r;
    let at = y;
    for (let s = 0; s < STREAMS; s++, t += wStep, at += yStep) {
      let s0 = start;
      let s1 = start;
      let s2 = start;
      let s3 = start;
      for (let i: usize = 0; i < codeBytes; i += STEP_BYTES) {
        const a1 = format.first(q, i);
        const a2 = format.second(q, i);
        const a3 = format.third(q, i);
        const a4 = format.fourth(q, i);
        s0 = format.dot(s0, v128.load(t + i), a1, a2, a3, a4, mask);
        s1 = format.dot(s1, v128.load(t + i, 16), a1, a2, a3, a4, mask);
        s2 = format.dot(s2, v128.load(t + i, 32), a1, a2, a3, a4, mask);
        s3 = format.dot(s3, v128.load(t + i, 48), a1, a2, a3, a4, mask);
      }
      const scales = t + codeBytes;
      const y0 = addBlock(v128.load(at), finiteF16ToF32x4(v128.load16x4_s(scales)), da, format.inner(s0));
      const y1 = addBlock(v128.load(at, 16), finiteF16ToF32x4(v128.load16x4_s(scales, 8)), da, format.inner(s1));
      const y2 = addBlock(v128.load(at, 32), finiteF16ToF32x4(v128.load16x4_s(scales, 16)), da, format.inner(s2));
      const y3 = addBlock(v128.load(at, 48), finiteF16ToF32x4(v128.load16x4_s(scales, 24)), da, format.inner(s3));
      v128.store(at, y0);
      v128.store(at, y1, 16);
      v128.store(at, y2, 32);
      v128.store(at, y3, 48);
      seen = largestScales(seen, scales);
    }
  }
  return f16AllFinite(seen);
}

/** One token x 16 rows, `width` of which exist; any scales. */
function vector16<F extends CodedRecords>(y: usize, q: usize, step: usize, nBlocks: i32, r: usize, width: i32): void {
  const format = changetype<F>(0);
  const codeBytes = format.codeBytes();
  const mask = format.mask();
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, r += codeBytes + SCALE_BYTES) {
    const start = format.start(q);
    const da = scaleOf(q);
    let s0 = start;
    let s1 = start;
    let s2 = start;
    let s3 = start;
    for (let i: usize = 0; i < codeBytes; i += STEP_BYTES) {
      const a1 = format.first(q, i);
      const a2 = format.second(q, i);
      const a3 = format.third(q, i);
      const a4 = format.fourth(q, i);
      s0 = format.dot(s0, v128.load(r + i), a1, a2, a3, a4, mask);
      s1 = format.dot(s1, v128.load(r + i, 16), a1, a2, a3, a4, mask);
      s2 = format.dot(s2, v128.load(r + i, 32), a1, a2, a3, a4, mask);
      s3 = format.dot(s3, v128.load(r + i, 48), a1, a2, a3, a4, mask);
    }
    const scales = r + codeBytes;
    y0 = addBlock(y0, f16ToF32x4(v128.load16x4_s(scales)), da, format.inner(s0));
    y1 = addBlock(y1, f16ToF32x4(v128.load16x4_s(scales, 8)), da, format.inner(s1));
    y2 = addBlock(y2, f16ToF32x4(v128.load16x4_s(scales, 16)), da, format.inner(s2));
    y3 = addBlock(y3, f16ToF32x4(v128.load16x4_s(scales, 24)), da, format.inner(s3));
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}
