// y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// The inner sum is an exact integer. Codes are stored as code + 8, 0..15; the sum of the block's activations takes the offset
// out again. Lanes are rows: the four codes of a row are the bytes of its 32-bit lane.
import { CodedPanels, codedProduct } from './blocks/coded_product';
import { ACTIVATION_BYTES, BLOCK_SIZE, GROUP_TOKENS, groupTokens, scaleOf, startOf } from './blocks/q8_record';
import { dotStep, dotSums, f16ToF32x4, finiteF16ToF32x4, nibblesOfBytes, nibblesOfWords, storeLanes } from './lanes';

/** One record: 16 rows x 32 columns as four groups of 4 rows, then 16 scales; see src/exec/wasm/layout.ts. */
const PANEL_ROWS = 16;
const GROUP_BYTES: usize = 64;
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;
/** w = d * (stored - 8). */
const LOG2_CODE_OFFSET = 3;

/** Tokens beyond whole groups that are worth a walk over the weights of their own; more of them fill up a group. */
const FEW_TOKENS = 2;

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ40Q8(
  y: usize,
  yStride: i32,
  q: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const nBlocks = nIn / BLOCK_SIZE;
  const endPanel = firstPanel + nPanels;
  const nGrouped = groupTokens(nTokens);
  const step = <usize>nGrouped * ACTIVATION_BYTES; // from a token's block to its next one
  const nOver = nTokens % GROUP_TOKENS;
  const nTiled = nGrouped === 1 ? 0 : nOver <= FEW_TOKENS ? nTokens - nOver : nTokens;
  if (nTiled > 0) {
    codedProduct<Q40Codes>(y, yBytes, q, nTiled, nBlocks, w, nOut, firstPanel, endPanel, scratch);
  }
  y += <usize>nTiled * yBytes;
  q += <usize>(nTiled * nBlocks) * ACTIVATION_BYTES;
  for (let t = nTiled; t < nTokens; t++, y += yBytes) {
    vector(y, q, step, nBlocks, w, nOut, firstPanel, endPanel);
    q += nGrouped === 1 ? <usize>nBlocks * ACTIVATION_BYTES : ACTIVATION_BYTES;
  }
}

class Q40Codes implements CodedPanels {
  recordBytes(): usize {
    return RECORD_BYTES;
  }

  log2Offset(): i32 {
    return LOG2_CODE_OFFSET;
  }

  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void {
    for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES) {
      for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
        for (let g: usize = 0; g < 4; g++, codes += 16) {
          const c = v128.load(record + g * GROUP_BYTES + i);
          if (ASC_FEATURE_RELAXED_SIMD) {
            v128.store(codes, v128.and(c, nibblesOfBytes())); // columns 0..15
            v128.store(codes, v128.and(i16x8.shr_u(c, 4), nibblesOfBytes()), 256); // columns 16..31
          } else {
            v128.store(codes, v128.and(c, nibblesOfWords()));
            v128.store(codes, v128.and(i16x8.shr_u(c, 8), nibblesOfWords()), 64);
            v128.store(codes, v128.and(i16x8.shr_u(c, 4), nibblesOfWords()), 512);
            v128.store(codes, i16x8.shr_u(c, 12), 576);
          }
        }
        if (!ASC_FEATURE_RELAXED_SIMD) codes += 64;
      }
      codes += ASC_FEATURE_RELAXED_SIMD ? 256 : 512;
      for (let g: usize = 0; g < 4; g++, scales += 16) {
        v128.store(scales, f16ToF32x4(v128.load16x4_s(record + (g << 3), SCALES)));
      }
    }
  }
}

/** One token x all panels: two streams of panels side by side, each through half of them, share the activations. */
function vector(
  y: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  endPanel: i32,
): void {
  const panelBytes = <usize>nBlocks * RECORD_BYTES;
  // The last panels, which make no pair or have rows beyond nOut, go one by one.
  const half = max(0, min(endPanel, nOut / PANEL_ROWS) - firstPanel) >> 1;
  const wStep = <usize>half * panelBytes;
  const yStep = (<usize>(half * PANEL_ROWS)) << 2;
  let p = firstPanel;
  for (const end = p + half; p < end; p++) {
    const at = y + ((<usize>(p * PANEL_ROWS)) << 2);
    const panel = w + <usize>p * panelBytes;
    if (!vector2x16(at, yStep, q, step, nBlocks, panel, wStep)) {
      vector16(at, q, step, nBlocks, panel, PANEL_ROWS);
      vector16(at + yStep, q, step, nBlocks, panel + wStep, PANEL_ROWS);
    }
  }
  for (p += half; p < endPanel; p++) {
    const row = p * PANEL_ROWS;
    vector16(y + ((<usize>row) << 2), q, step, nBlocks, w + <usize>p * panelBytes, nOut - row);
  }
}

/** acc + (dw * da) * inner. */
function addBlock(acc: v128, dw: v128, da: v128, inner: v128): v128 {
  return f32x4.add(acc, f32x4.mul(f32x4.mul(dw, da), f32x4.convert_i32x4_s(dotSums(inner))));
}

/** `seen` and the magnitudes of a record's scales: the largest in each 16-bit lane, twice their bits. */
function largestScales(seen: v128, record: usize): v128 {
  const first = i16x8.shl(v128.load(record, SCALES), 1);
  const last = i16x8.shl(v128.load(record, SCALES + 16), 1);
  return i16x8.max_u(i16x8.max_u(seen, first), last);
}

/** Whether every scale was finite: infinities and NaN have all five bits of the exponent. */
function allFinite(seen: v128): bool {
  return !v128.any_true(i16x8.ge_u(seen, i16x8.splat(<i16>0xf800)));
}

/** Sums + codes x activations of four rows: byte i / 16 of sixteen has columns i / 4 and i / 4 + 16 on. */
function dotNibbles(sums: v128, q: usize, i: usize, c: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) {
    const at = q + (i >> 2);
    sums = dotStep(sums, v128.load32_splat(at), v128.and(c, nibblesOfBytes()));
    return dotStep(sums, v128.load32_splat(at, 16), v128.and(i16x8.shr_u(c, 4), nibblesOfBytes()));
  }
  const at = q + (i >> 1);
  sums = dotStep(sums, v128.load32_splat(at), v128.and(c, nibblesOfWords()));
  sums = dotStep(sums, v128.load32_splat(at, 4), v128.and(i16x8.shr_u(c, 8), nibblesOfWords()));
  sums = dotStep(sums, v128.load32_splat(at, 32), v128.and(i16x8.shr_u(c, 4), nibblesOfWords()));
  return dotStep(sums, v128.load32_splat(at, 36), i16x8.shr_u(c, 12));
}

/** One token x two panels, yStep and wStep bytes apart. False, with nothing stored, when a scale is not finite. */
function vector2x16(y: usize, yStep: usize, q: usize, step: usize, nBlocks: i32, r: usize, wStep: usize): bool {
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  let z0 = f32x4.splat(0);
  let z1 = f32x4.splat(0);
  let z2 = f32x4.splat(0);
  let z3 = f32x4.splat(0);
  let seen = i16x8.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, r += RECORD_BYTES) {
    const start = startOf(q, LOG2_CODE_OFFSET);
    const da = scaleOf(q);
    let s0 = start;
    let s1 = start;
    let s2 = start;
    let s3 = start;
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      s0 = dotNibbles(s0, q, i, v128.load(r + i));
      s1 = dotNibbles(s1, q, i, v128.load(r + i, GROUP_BYTES));
      s2 = dotNibbles(s2, q, i, v128.load(r + i, 2 * GROUP_BYTES));
      s3 = dotNibbles(s3, q, i, v128.load(r + i, 3 * GROUP_BYTES));
    }
    y0 = addBlock(y0, finiteF16ToF32x4(v128.load16x4_s(r, SCALES)), da, s0);
    y1 = addBlock(y1, finiteF16ToF32x4(v128.load16x4_s(r, SCALES + 8)), da, s1);
    y2 = addBlock(y2, finiteF16ToF32x4(v128.load16x4_s(r, SCALES + 16)), da, s2);
    y3 = addBlock(y3, finiteF16ToF32x4(v128.load16x4_s(r, SCALES + 24)), da, s3);
    const t = r + wStep;
    seen = largestScales(largestScales(seen, r), t);
    s0 = start;
    s1 = start;
    s2 = start;
    s3 = start;
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      s0 = dotNibbles(s0, q, i, v128.load(t + i));
      s1 = dotNibbles(s1, q, i, v128.load(t + i, GROUP_BYTES));
      s2 = dotNibbles(s2, q, i, v128.load(t + i, 2 * GROUP_BYTES));
      s3 = dotNibbles(s3, q, i, v128.load(t + i, 3 * GROUP_BYTES));
    }
    z0 = addBlock(z0, finiteF16ToF32x4(v128.load16x4_s(t, SCALES)), da, s0);
    z1 = addBlock(z1, finiteF16ToF32x4(v128.load16x4_s(t, SCALES + 8)), da, s1);
    z2 = addBlock(z2, finiteF16ToF32x4(v128.load16x4_s(t, SCALES + 16)), da, s2);
    z3 = addBlock(z3, finiteF16ToF32x4(v128.load16x4_s(t, SCALES + 24)), da, s3);
  }
  if (!allFinite(seen)) return false;
  v128.store(y, y0);
  v128.store(y, y1, 16);
  v128.store(y, y2, 32);
  v128.store(y, y3, 48);
  y += yStep;
  v128.store(y, z0);
  v128.store(y, z1, 16);
  v128.store(y, z2, 32);
  v128.store(y, z3, 48);
  return true;
}

/** One token x 16 rows, `width` of which exist; any scales. */
function vector16(y: usize, q: usize, step: usize, nBlocks: i32, r: usize, width: i32): void {
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, r += RECORD_BYTES) {
    const start = startOf(q, LOG2_CODE_OFFSET);
    const da = scaleOf(q);
    let s0 = start;
    let s1 = start;
    let s2 = start;
    let s3 = start;
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      s0 = dotNibbles(s0, q, i, v128.load(r + i));
      s1 = dotNibbles(s1, q, i, v128.load(r + i, GROUP_BYTES));
      s2 = dotNibbles(s2, q, i, v128.load(r + i, 2 * GROUP_BYTES));
      s3 = dotNibbles(s3, q, i, v128.load(r + i, 3 * GROUP_BYTES));
    }
    y0 = addBlock(y0, f16ToF32x4(v128.load16x4_s(r, SCALES)), da, s0);
    y1 = addBlock(y1, f16ToF32x4(v128.load16x4_s(r, SCALES + 8)), da, s1);
    y2 = addBlock(y2, f16ToF32x4(v128.load16x4_s(r, SCALES + 16)), da, s2);
    y3 = addBlock(y3, f16ToF32x4(v128.load16x4_s(r, SCALES + 24)), da, s3);
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}
