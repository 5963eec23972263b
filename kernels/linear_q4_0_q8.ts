// y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// The inner sum is an exact integer. Codes are stored as code + 8, 0..15: the sum of the block's activations, times 8, takes
// the offset out again. Lanes are rows: the four codes of a row are the bytes of its 32-bit lane.
import { dotStep, dotSums, f16ToF32x4, nibblesOfBytes, nibblesOfWords, storeLanes } from './lanes';
import { ACTIVATION_BYTES, BLOCK_SIZE, GROUP_TOKENS, SCALE_AT, SUM_AT } from './quantize_rows_q8';

/** One record: 16 rows x 32 columns as four groups of 4 rows, then 16 scales; see src/exec/wasm/layout.ts. */
const PANEL_ROWS = 16;
const GROUP_BYTES: usize = 64;
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;
/** w = d * (stored - 8), and 8 is a shift by 3. */
const LOG2_CODE_OFFSET = 3;
/** A tile is 4 rows x 8 tokens: as many integer sums as leave registers for the operands. */
const TILE_TOKENS = 8;

/** Tokens whose activations stay in the second-level cache while the panels go by. */
const BLOCK_TOKENS = 64;

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
  _scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const nBlocks = nIn / BLOCK_SIZE;
  const panelBytes = <usize>nBlocks * RECORD_BYTES;
  const tokenBytes = <usize>nBlocks * ACTIVATION_BYTES;
  for (let t0 = 0; t0 < nTokens; t0 += BLOCK_TOKENS) {
    const t1 = min(t0 + BLOCK_TOKENS, nTokens);
    for (let p = firstPanel; p < firstPanel + nPanels; p++) {
      const row = p * PANEL_ROWS;
      const panel = w + <usize>p * panelBytes;
      const yPanel = y + ((<usize>row) << 2);
      for (let t = t0; t < t1; t += GROUP_TOKENS) {
        const n = min(GROUP_TOKENS, nTokens - t);
        tokenGroup(yPanel + <usize>t * yBytes, yBytes, q + <usize>t * tokenBytes, n, nBlocks, panel, nOut - row);
      }
    }
  }
}

/** Up to 8 tokens x 16 rows, `width` of which exist. */
function tokenGroup(y: usize, yBytes: usize, q: usize, n: i32, nBlocks: i32, panel: usize, width: i32): void {
  const step = <usize>n * ACTIVATION_BYTES; // from a token's block to its next one
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

/** acc + (dw * da) * sum, the sum freed of the codes' offset: `offset` is the block's sum of activations times it. */
function addBlock(acc: v128, dw: v128, da: v128, offset: v128, sums: v128): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.sub(sums, offset));
  return f32x4.add(acc, f32x4.mul(f32x4.mul(dw, da), exact));
}

/** Scale of a block of activations, in every lane. */
function scaleOf(record: usize): v128 {
  return v128.load32_splat(record, SCALE_AT);
}

/** What the offset of the weights' codes adds to each sum over a block. */
function offsetOf(record: usize): v128 {
  return i32x4.shl(v128.load32_splat(record, SUM_AT), LOG2_CODE_OFFSET);
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
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      const c0 = v128.load(record + i);
      const c1 = v128.load(record + i, GROUP_BYTES);
      const c2 = v128.load(record + i, 2 * GROUP_BYTES);
      const c3 = v128.load(record + i, 3 * GROUP_BYTES);
      if (ASC_FEATURE_RELAXED_SIMD) {
        const nibble = nibblesOfBytes();
        const low = v128.load32_splat(q + (i >> 2)); // columns 0..15
        s0 = dotStep(s0, low, v128.and(c0, nibble));
        s1 = dotStep(s1, low, v128.and(c1, nibble));
        s2 = dotStep(s2, low, v128.and(c2, nibble));
        s3 = dotStep(s3, low, v128.and(c3, nibble));
        const high = v128.load32_splat(q + (i >> 2), 16); // columns 16..31
        s0 = dotStep(s0, high, v128.and(i16x8.shr_u(c0, 4), nibble));
        s1 = dotStep(s1, high, v128.and(i16x8.shr_u(c1, 4), nibble));
        s2 = dotStep(s2, high, v128.and(i16x8.shr_u(c2, 4), nibble));
        s3 = dotStep(s3, high, v128.and(i16x8.shr_u(c3, 4), nibble));
      } else {
        const nibble = nibblesOfWords();
        const at = q + (i >> 1);
        const even = v128.load32_splat(at);
        s0 = dotStep(s0, even, v128.and(c0, nibble));
        s1 = dotStep(s1, even, v128.and(c1, nibble));
        s2 = dotStep(s2, even, v128.and(c2, nibble));
        s3 = dotStep(s3, even, v128.and(c3, nibble));
        const odd = v128.load32_splat(at, 4);
        s0 = dotStep(s0, odd, v128.and(i16x8.shr_u(c0, 8), nibble));
        s1 = dotStep(s1, odd, v128.and(i16x8.shr_u(c1, 8), nibble));
        s2 = dotStep(s2, odd, v128.and(i16x8.shr_u(c2, 8), nibble));
        s3 = dotStep(s3, odd, v128.and(i16x8.shr_u(c3, 8), nibble));
        const highEven = v128.load32_splat(at, 32);
        s0 = dotStep(s0, highEven, v128.and(i16x8.shr_u(c0, 4), nibble));
        s1 = dotStep(s1, highEven, v128.and(i16x8.shr_u(c1, 4), nibble));
        s2 = dotStep(s2, highEven, v128.and(i16x8.shr_u(c2, 4), nibble));
        s3 = dotStep(s3, highEven, v128.and(i16x8.shr_u(c3, 4), nibble));
        const highOdd = v128.load32_splat(at, 36);
        s0 = dotStep(s0, highOdd, i16x8.shr_u(c0, 12));
        s1 = dotStep(s1, highOdd, i16x8.shr_u(c1, 12));
        s2 = dotStep(s2, highOdd, i16x8.shr_u(c2, 12));
        s3 = dotStep(s3, highOdd, i16x8.shr_u(c3, 12));
      }
    }
    const da = scaleOf(q);
    const offset = offsetOf(q);
    y0 = addBlock(y0, f16ToF32x4(v128.load16x4_s(record, SCALES)), da, offset, dotSums(s0));
    y1 = addBlock(y1, f16ToF32x4(v128.load16x4_s(record, SCALES + 8)), da, offset, dotSums(s1));
    y2 = addBlock(y2, f16ToF32x4(v128.load16x4_s(record, SCALES + 16)), da, offset, dotSums(s2));
    y3 = addBlock(y3, f16ToF32x4(v128.load16x4_s(record, SCALES + 24)), da, offset, dotSums(s3));
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}

/** Eight tokens x 4 rows. */
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
  let y4 = f32x4.splat(0);
  let y5 = f32x4.splat(0);
  let y6 = f32x4.splat(0);
  let y7 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, codes += RECORD_BYTES, scales += RECORD_BYTES) {
    let s0 = i32x4.splat(0);
    let s1 = i32x4.splat(0);
    let s2 = i32x4.splat(0);
    let s3 = i32x4.splat(0);
    let s4 = i32x4.splat(0);
    let s5 = i32x4.splat(0);
    let s6 = i32x4.splat(0);
    let s7 = i32x4.splat(0);
    for (let i: usize = 0; i < GROUP_BYTES; i += 16) {
      const c = v128.load(codes + i);
      if (ASC_FEATURE_RELAXED_SIMD) {
        const low = v128.and(c, nibblesOfBytes()); // columns 0..15
        const high = v128.and(i16x8.shr_u(c, 4), nibblesOfBytes()); // columns 16..31
        const at = q + (i >> 2);
        s0 = dotStep(dotStep(s0, v128.load32_splat(at), low), v128.load32_splat(at, 16), high);
        s1 = dotStep(
          dotStep(s1, v128.load32_splat(at, ACTIVATION_BYTES), low),
          v128.load32_splat(at, ACTIVATION_BYTES + 16),
          high,
        );
        s2 = dotStep(
          dotStep(s2, v128.load32_splat(at, 2 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 2 * ACTIVATION_BYTES + 16),
          high,
        );
        s3 = dotStep(
          dotStep(s3, v128.load32_splat(at, 3 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 3 * ACTIVATION_BYTES + 16),
          high,
        );
        s4 = dotStep(
          dotStep(s4, v128.load32_splat(at, 4 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 4 * ACTIVATION_BYTES + 16),
          high,
        );
        s5 = dotStep(
          dotStep(s5, v128.load32_splat(at, 5 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 5 * ACTIVATION_BYTES + 16),
          high,
        );
        s6 = dotStep(
          dotStep(s6, v128.load32_splat(at, 6 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 6 * ACTIVATION_BYTES + 16),
          high,
        );
        s7 = dotStep(
          dotStep(s7, v128.load32_splat(at, 7 * ACTIVATION_BYTES), low),
          v128.load32_splat(at, 7 * ACTIVATION_BYTES + 16),
          high,
        );
      } else {
        const even = v128.and(c, nibblesOfWords());
        const odd = v128.and(i16x8.shr_u(c, 8), nibblesOfWords());
        const highEven = v128.and(i16x8.shr_u(c, 4), nibblesOfWords());
        const highOdd = i16x8.shr_u(c, 12);
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
        s4 = dotStep(
          dotStep(s4, v128.load32_splat(at, 4 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 4 * ACTIVATION_BYTES + 4),
          odd,
        );
        s5 = dotStep(
          dotStep(s5, v128.load32_splat(at, 5 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 5 * ACTIVATION_BYTES + 4),
          odd,
        );
        s6 = dotStep(
          dotStep(s6, v128.load32_splat(at, 6 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 6 * ACTIVATION_BYTES + 4),
          odd,
        );
        s7 = dotStep(
          dotStep(s7, v128.load32_splat(at, 7 * ACTIVATION_BYTES), even),
          v128.load32_splat(at, 7 * ACTIVATION_BYTES + 4),
          odd,
        );
        s0 = dotStep(dotStep(s0, v128.load32_splat(at, 32), highEven), v128.load32_splat(at, 36), highOdd);
        s1 = dotStep(
          dotStep(s1, v128.load32_splat(at, ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, ACTIVATION_BYTES + 36),
          highOdd,
        );
        s2 = dotStep(
          dotStep(s2, v128.load32_splat(at, 2 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 2 * ACTIVATION_BYTES + 36),
          highOdd,
        );
        s3 = dotStep(
          dotStep(s3, v128.load32_splat(at, 3 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 3 * ACTIVATION_BYTES + 36),
          highOdd,
        );
        s4 = dotStep(
          dotStep(s4, v128.load32_splat(at, 4 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 4 * ACTIVATION_BYTES + 36),
          highOdd,
        );
        s5 = dotStep(
          dotStep(s5, v128.load32_splat(at, 5 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 5 * ACTIVATION_BYTES + 36),
          highOdd,
        );
        s6 = dotStep(
          dotStep(s6, v128.load32_splat(at, 6 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 6 * ACTIVATION_BYTES + 36),
          highOdd,
        );
        s7 = dotStep(
          dotStep(s7, v128.load32_splat(at, 7 * ACTIVATION_BYTES + 32), highEven),
          v128.load32_splat(at, 7 * ACTIVATION_BYTES + 36),
          highOdd,
        );
      }
    }
    const dw = f16ToF32x4(v128.load16x4_s(scales));
    y0 = addBlock(y0, dw, scaleOf(q), offsetOf(q), dotSums(s0));
    y1 = addBlock(y1, dw, scaleOf(q + ACTIVATION_BYTES), offsetOf(q + ACTIVATION_BYTES), dotSums(s1));
    y2 = addBlock(y2, dw, scaleOf(q + 2 * ACTIVATION_BYTES), offsetOf(q + 2 * ACTIVATION_BYTES), dotSums(s2));
    y3 = addBlock(y3, dw, scaleOf(q + 3 * ACTIVATION_BYTES), offsetOf(q + 3 * ACTIVATION_BYTES), dotSums(s3));
    y4 = addBlock(y4, dw, scaleOf(q + 4 * ACTIVATION_BYTES), offsetOf(q + 4 * ACTIVATION_BYTES), dotSums(s4));
    y5 = addBlock(y5, dw, scaleOf(q + 5 * ACTIVATION_BYTES), offsetOf(q + 5 * ACTIVATION_BYTES), dotSums(s5));
    y6 = addBlock(y6, dw, scaleOf(q + 6 * ACTIVATION_BYTES), offsetOf(q + 6 * ACTIVATION_BYTES), dotSums(s6));
    y7 = addBlock(y7, dw, scaleOf(q + 7 * ACTIVATION_BYTES), offsetOf(q + 7 * ACTIVATION_BYTES), dotSums(s7));
  }
  storeLanes(y, y0, rows);
  storeLanes(y + yBytes, y1, rows);
  storeLanes(y + 2 * yBytes, y2, rows);
  storeLanes(y + 3 * yBytes, y3, rows);
  storeLanes(y + 4 * yBytes, y4, rows);
  storeLanes(y + 5 * yBytes, y5, rows);
  storeLanes(y + 6 * yBytes, y6, rows);
  storeLanes(y + 7 * yBytes, y7, rows);
}
