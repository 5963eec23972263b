// y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// The inner sum is an exact integer. Codes are stored as code + 128, 0..255: the sum of the block's activations, times 128,
// takes the offset out again. For the 7-bit operand of the relaxed dot product a byte is 16 * high + low, exactly. Lanes are
// rows: the four codes of a row are the bytes of its 32-bit lane.

import { ACTIVATION_BYTES, BLOCK_SIZE, groupTokens, negatedSumOf, scaleOf } from './blocks/q8_record';
import { bytesOfWords, dotStep, dotSums, f16ToF32x4, nibblesOfBytes, storeLanes } from './lanes';

/** One record: 16 rows x 32 columns as four groups of 4 rows, then 16 scales; see src/exec/wasm/layout.ts. */
const PANEL_ROWS = 16;
const GROUP_BYTES: usize = 128;
const SCALES: usize = 512;
const RECORD_BYTES: usize = 544;
/** w = d * (stored - 128), and 128 is a shift by 7. */
const LOG2_CODE_OFFSET = 7;
/** A tile is 4 rows x 4 tokens, each with sums of low and of high halves. */
const TILE_TOKENS = 4;

/** Tokens whose activations stay in the second-level cache while the panels go by. */
const BLOCK_TOKENS = 64;

/** See LinearQ8 in src/exec/wasm/kernels.ts. */
export function linearQ80Q8(
  y: usize,
  yStride: i32,
  q: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  _scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const nBlocks = nIn / BLOCK_SIZE;
  const panelBytes = <usize>nBlocks * RECORD_BYTES;
  const tokenBytes = <usize>nBlocks * ACTIVATION_BYTES;
  const nGrouped = groupTokens(nTokens);
  const step = <usize>nGrouped * ACTIVATION_BYTES; // from a token's block to its next one
  for (let t0 = 0; t0 < nTokens; t0 += BLOCK_TOKENS) {
    const t1 = min(t0 + BLOCK_TOKENS, nTokens);
    for (let p = firstPanel; p < firstPanel + nPanels; p++) {
      const row = p * PANEL_ROWS;
      const panel = w + <usize>p * panelBytes;
      const yPanel = y + ((<usize>row) << 2);
      for (let t = t0; t < t1; t += nGrouped) {
        const n = min(nGrouped, nTokens - t);
        tokenGroup(yPanel + <usize>t * yBytes, yBytes, q + <usize>t * tokenBytes, n, step, nBlocks, panel, nOut - row);
      }
    }
  }
}

/** Up to 4 tokens x 16 rows, `width` of which exist. */
function tokenGroup(
  y: usize,
  yBytes: usize,
  q: usize,
  n: i32,
  step: usize,
  nBlocks: i32,
  panel: usize,
  width: i32,
): void {
  let t = 0;
  for (; t + TILE_TOKENS <= n; t += TILE_TOKENS, y += yBytes * TILE_TOKENS, q += ACTIVATION_BYTES * TILE_TOKENS) {
    for (let g: usize = 0; g < 4; g++) {
      const rows = width - <i32>(g << 2);
      if (rows > 0)
        tile(y + (g << 4), yBytes, q, step, nBlocks, panel + g * GROUP_BYTES, panel + SCALES + (g << 3), rows);
    }
  }
  for (; t < n; t++, y += yBytes, q += ACTIVATION_BYTES) vector16(y, q, step, nBlocks, panel, width);
}

/** acc + (dw * da) * sum, the sum freed of the codes' offset: `offset` is minus the block's sum of activations times it. */
function addBlock(acc: v128, dw: v128, da: v128, offset: v128, sums: v128): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.add(sums, offset));
  return f32x4.add(acc, f32x4.mul(f32x4.mul(dw, da), exact));
}

/** What takes the offset of the weights' codes out of each sum over a block. */
function offsetOf(record: usize): v128 {
  return i32x4.shl(negatedSumOf(record), LOG2_CODE_OFFSET);
}

/** The nibbles of unsigned bytes, as bytes. */
function lowHalves(c: v128): v128 {
  return v128.and(c, nibblesOfBytes());
}
function highHalves(c: v128): v128 {
  return v128.and(i16x8.shr_u(c, 4), nibblesOfBytes());
}

/** Bytes 0 and 2, 1 and 3 of each 32-bit lane, as pairs of i16. */
function evenBytes(c: v128): v128 {
  return v128.and(c, bytesOfWords());
}
function oddBytes(c: v128): v128 {
  return i16x8.shr_u(c, 8);
}

/** low + 16 * high: the sums over whole bytes. The plain build has them in `low` already. */
function joined(low: v128, high: v128): v128 {
  if (ASC_FEATURE_RELAXED_SIMD) return i32x4.add(dotSums(low), i32x4.shl(dotSums(high), 4));
  return dotSums(low);
}

/** One token x 16 rows: the four groups share each activation. */
function vector16(y: usize, q: usize, step: usize, nBlocks: i32, record: usize, width: i32): void {
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, record += RECORD_BYTES) {
    let s0 = i32x4.splat(0);
    let s1 = i32x4.splat(0);
    let s2 = i32x4.splat(0);
    let s3 = i32x4.splat(0);
    // Upper halves of the bytes, in the relaxed build alone.
    let u0 = i32x4.splat(0);
    let u1 = i32x4.splat(0);
    let u2 = i32x4.splat(0);
    let u3 = i32x4.splat(0);
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      const c0 = v128.load(record + i);
      const c1 = v128.load(record + i, GROUP_BYTES);
      const c2 = v128.load(record + i, 2 * GROUP_BYTES);
      const c3 = v128.load(record + i, 3 * GROUP_BYTES);
      if (ASC_FEATURE_RELAXED_SIMD) {
        const a = v128.load32_splat(q + (i >> 2));
        s0 = dotStep(s0, a, lowHalves(c0));
        s1 = dotStep(s1, a, lowHalves(c1));
        s2 = dotStep(s2, a, lowHalves(c2));
        s3 = dotStep(s3, a, lowHalves(c3));
        u0 = dotStep(u0, a, highHalves(c0));
        u1 = dotStep(u1, a, highHalves(c1));
        u2 = dotStep(u2, a, highHalves(c2));
        u3 = dotStep(u3, a, highHalves(c3));
      } else {
        const even = v128.load32_splat(q + (i >> 1));
        s0 = dotStep(s0, even, evenBytes(c0));
        s1 = dotStep(s1, even, evenBytes(c1));
        s2 = dotStep(s2, even, evenBytes(c2));
        s3 = dotStep(s3, even, evenBytes(c3));
        const odd = v128.load32_splat(q + (i >> 1), 4);
        s0 = dotStep(s0, odd, oddBytes(c0));
        s1 = dotStep(s1, odd, oddBytes(c1));
        s2 = dotStep(s2, odd, oddBytes(c2));
        s3 = dotStep(s3, odd, oddBytes(c3));
      }
    }
    const da = scaleOf(q);
    const offset = offsetOf(q);
    y0 = addBlock(y0, f16ToF32x4(v128.load16x4_s(record, SCALES)), da, offset, joined(s0, u0));
    y1 = addBlock(y1, f16ToF32x4(v128.load16x4_s(record, SCALES + 8)), da, offset, joined(s1, u1));
    y2 = addBlock(y2, f16ToF32x4(v128.load16x4_s(record, SCALES + 16)), da, offset, joined(s2, u2));
    y3 = addBlock(y3, f16ToF32x4(v128.load16x4_s(record, SCALES + 24)), da, offset, joined(s3, u3));
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}

/** Four tokens x 4 rows. */
function tile(
  y: usize,
  yBytes: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  codes: usize,
  scales: usize,
  rows: i32,
): void {
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, codes += RECORD_BYTES, scales += RECORD_BYTES) {
    let s0 = i32x4.splat(0);
    let s1 = i32x4.splat(0);
    let s2 = i32x4.splat(0);
    let s3 = i32x4.splat(0);
    let u0 = i32x4.splat(0);
    let u1 = i32x4.splat(0);
    let u2 = i32x4.splat(0);
    let u3 = i32x4.splat(0);
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      const c = v128.load(codes + i);
      if (ASC_FEATURE_RELAXED_SIMD) {
        const low = lowHalves(c);
        const high = highHalves(c);
        const at = q + (i >> 2);
        const a0 = v128.load32_splat(at);
        s0 = dotStep(s0, a0, low);
        u0 = dotStep(u0, a0, high);
        const a1 = v128.load32_splat(at, ACTIVATION_BYTES);
        s1 = dotStep(s1, a1, low);
        u1 = dotStep(u1, a1, high);
        const a2 = v128.load32_splat(at, 2 * ACTIVATION_BYTES);
        s2 = dotStep(s2, a2, low);
        u2 = dotStep(u2, a2, high);
        const a3 = v128.load32_splat(at, 3 * ACTIVATION_BYTES);
        s3 = dotStep(s3, a3, low);
        u3 = dotStep(u3, a3, high);
      } else {
        const even = evenBytes(c);
        const odd = oddBytes(c);
        const at = q + (i >> 1);
        s0 = dotStep(dotStep(s0, v128.load32_splat(at), even), v128.load32_splat(at, 4), odd);
        s1 = dotStep(
          dotStep(s1, v128.load32_splat(at, ACTIVATION_BYTES), even),
          v128.load32_splat(at, ACTIVATION_BYTES + 4),
          odd,
        );
        s2 = dotStep(
          dotStep(s2, v128.load32_splat(at, 2 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 2 * ACTIVATION_BYTES + 4),
          odd,
        );
        s3 = dotStep(
          dotStep(s3, v128.load32_splat(at, 3 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 3 * ACTIVATION_BYTES + 4),
          odd,
        );
      }
    }
    const dw = f16ToF32x4(v128.load16x4_s(scales));
    y0 = addBlock(y0, dw, scaleOf(q), offsetOf(q), joined(s0, u0));
    y1 = addBlock(y1, dw, scaleOf(q + ACTIVATION_BYTES), offsetOf(q + ACTIVATION_BYTES), joined(s1, u1));
    y2 = addBlock(y2, dw, scaleOf(q + 2 * ACTIVATION_BYTES), offsetOf(q + 2 * ACTIVATION_BYTES), joined(s2, u2));
    y3 = addBlock(y3, dw, scaleOf(q + 3 * ACTIVATION_BYTES), offsetOf(q + 3 * ACTIVATION_BYTES), joined(s3, u3));
  }
  storeLanes(y, y0, rows);
  storeLanes(y + yBytes, y1, rows);
  storeLanes(y + 2 * yBytes, y2, rows);
  storeLanes(y + 3 * yBytes, y3, rows);
}
