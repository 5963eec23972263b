// Matrix x matrix for formats whose blocks of 32 weights are d * code, codes being any int8, with activations in q8.
//   y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// Relaxed build, products in quads (dot_forms.ts). A relaxed dot product needs one operand in 0..127, and the magnitude of an activation is. Its sign goes to the weight:
// where a < 0, w * a = |a| * -w = |a| * (~w + 1). So the sum over a block is that of |a| * (w ^ m), m = -1 where a < 0 and 0
// elsewhere, plus the sum of |a| where a < 0, which no weight changes: sums start with it. (~w also fits int8 where -w does not.)
//
// Magnitudes and masks of some blocks of all tokens are made once, and codes of the same blocks of one panel after the other;
// y holds the sums from one stretch of blocks to the next. Lanes are rows.
import { loadLanes, storeLanes } from '../lanes';
import { ACTIVATION_BYTES, GROUP_TOKENS, NEGATIVES_AT, SCALE_AT } from './q8_record';

/** Rows of a panel. */
const PANEL_ROWS = 16;
/** Blocks and tokens that are worked on at a time: 144 kB of activations in the second-level cache, 9 kB of weights in the first. */
const STRETCH_BLOCKS = 16;
const BLOCK_TOKENS = 128;

/** One block of one token: 32 magnitudes, 32 masks, f32 scale, i32 start of sums. */
const MASKS_AT: usize = 32;
const SIGNED_SCALE_AT: usize = 64;
const START_AT: usize = 68;
const SIGNED_BYTES: usize = 72;

/** Codes of one block of 16 rows, [column / 4][row][column % 4], and its scales; also the sums of one token. */
const BLOCK_CODE_BYTES: usize = 512;
const STEP_BYTES: usize = 64;
const ROWS_BYTES: usize = 4 * PANEL_ROWS;

/** Parts of scratch memory: codes, scales, sums of a group, activations. */
const SCALES: usize = STRETCH_BLOCKS * BLOCK_CODE_BYTES;
const SUMS: usize = SCALES + STRETCH_BLOCKS * ROWS_BYTES;
const SIGNED: usize = SUMS + GROUP_TOKENS * ROWS_BYTES;

/** How a format's panels of 16 rows become codes and scales. */
export interface SignedPanels {
  /** Bytes of one record: 16 rows x 32 columns. */
  recordBytes(): usize;
  /** Codes and f32 scales (16 for each block) of nBlocks records. */
  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void;
}

/**
 * nTokens: at least one group; the last group is filled up with zeros.
 * scratch: see linearScratchBytes in src/exec/wasm/layout.ts. P has methods and no fields: see linearPanels in linear_f32.ts.
 */
export function signedProduct<P extends SignedPanels>(
  y: usize,
  yBytes: usize,
  q: usize,
  nTokens: i32,
  nBlocks: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  endPanel: i32,
  scratch: usize,
): void {
  const panels = changetype<P>(0);
  const tokenBytes = <usize>nBlocks * ACTIVATION_BYTES;
  for (let t = 0; t < nTokens; t += BLOCK_TOKENS) {
    const n = min(BLOCK_TOKENS, nTokens - t);
    // At least one stretch, so that a sum of nothing is stored too.
    let b = 0;
    do {
      const nStretch = min(STRETCH_BLOCKS, nBlocks - b);
      splitSigns(scratch + SIGNED, q + <usize>t * tokenBytes, tokenBytes, n, b, nStretch);
      for (let p = firstPanel; p < endPanel; p++) {
        const row = p * PANEL_ROWS;
        panels.unpack(scratch, scratch + SCALES, w + <usize>(p * nBlocks + b) * panels.recordBytes(), nStretch);
        addStretch(y + <usize>t * yBytes + ((<usize>row) << 2), yBytes, scratch, n, nStretch, nOut - row, b > 0);
      }
      b += STRETCH_BLOCKS;
    } while (b < nBlocks);
  }
}

/** Records of whole groups of tokens, nStretch blocks from block b on, as [group][block][token of the group]. */
function splitSigns(to: usize, q: usize, tokenBytes: usize, nTokens: i32, b: i32, nStretch: i32): void {
  for (let t = 0; t < nTokens; t += GROUP_TOKENS, q += GROUP_TOKENS * tokenBytes) {
    let from = q + <usize>(b * GROUP_TOKENS) * ACTIVATION_BYTES;
    for (let i = 0; i < nStretch * GROUP_TOKENS; i++, from += ACTIVATION_BYTES, to += SIGNED_BYTES) {
      splitHalf(to, v128.load(from));
      splitHalf(to + 16, v128.load(from, 16));
      store<f32>(to, load<f32>(from, SCALE_AT), SIGNED_SCALE_AT);
      store<i32>(to, load<i32>(from, NEGATIVES_AT), START_AT);
    }
  }
}

function splitHalf(to: usize, codes: v128): void {
  v128.store(to, i8x16.abs(codes));
  v128.store(to, i8x16.lt_s(codes, i8x16.splat(0)), MASKS_AT);
}

/** All tokens x one panel over the stretch, `width` of its rows; `more` goes on from the sums in y. */
function addStretch(
  y: usize,
  yBytes: usize,
  scratch: usize,
  nTokens: i32,
  nStretch: i32,
  width: i32,
  more: bool,
): void {
  const sums = scratch + SUMS;
  let q = scratch + SIGNED;
  for (let t = 0; t < nTokens; t += GROUP_TOKENS) {
    const n = min(GROUP_TOKENS, nTokens - t);
    if (!more) memory.fill(sums, 0, GROUP_TOKENS * ROWS_BYTES);
    else for (let i = 0; i < n; i++) loadSums(sums + <usize>i * ROWS_BYTES, y + <usize>i * yBytes, width);
    addTile(sums, q, nStretch, scratch, scratch + SCALES);
    addTile(sums + 2 * ROWS_BYTES, q + 2 * SIGNED_BYTES, nStretch, scratch, scratch + SCALES);
    for (let i = 0; i < n; i++, y += yBytes) storeSums(y, sums + <usize>i * ROWS_BYTES, width);
    q += <usize>(nStretch * GROUP_TOKENS) * SIGNED_BYTES;
  }
}

/** sums + w . a, four products to each 32-bit lane; a: 0..127. */
function quads(sums: v128, w: v128, a: v128): v128 {
  return i32x4.relaxed_dot_i8x16_i7x16_add_s(w, a, sums);
}

/** Two tokens x 16 rows (groups a, b, c, d of four). */
function addTile(sums: usize, q: usize, nBlocks: i32, codes: usize, scales: usize): void {
  for (let i = 0; i < nBlocks; i++, q += GROUP_TOKENS * SIGNED_BYTES - 32, scales += ROWS_BYTES) {
    const at = q;
    let a0 = v128.load32_splat(q, START_AT);
    let a1 = v128.load32_splat(q, SIGNED_BYTES + START_AT);
    let b0 = a0;
    let b1 = a1;
    let c0 = a0;
    let c1 = a1;
    let d0 = a0;
    let d1 = a1;
    for (const end = codes + BLOCK_CODE_BYTES; codes < end; codes += STEP_BYTES, q += 4) {
      const a = v128.load(codes);
      const b = v128.load(codes, 16);
      const c = v128.load(codes, 32);
      const d = v128.load(codes, 48);
      const q0 = v128.load32_splat(q);
      const m0 = v128.load32_splat(q, MASKS_AT);
      a0 = quads(a0, v128.xor(a, m0), q0);
      b0 = quads(b0, v128.xor(b, m0), q0);
      c0 = quads(c0, v128.xor(c, m0), q0);
      d0 = quads(d0, v128.xor(d, m0), q0);
      const q1 = v128.load32_splat(q, SIGNED_BYTES);
      const m1 = v128.load32_splat(q, SIGNED_BYTES + MASKS_AT);
      a1 = quads(a1, v128.xor(a, m1), q1);
      b1 = quads(b1, v128.xor(b, m1), q1);
      c1 = quads(c1, v128.xor(c, m1), q1);
      d1 = quads(d1, v128.xor(d, m1), q1);
    }
    addBlock(sums, scales, v128.load32_splat(at, SIGNED_SCALE_AT), a0, b0, c0, d0);
    addBlock(sums + ROWS_BYTES, scales, v128.load32_splat(at, SIGNED_BYTES + SIGNED_SCALE_AT), a1, b1, c1, d1);
  }
}

/** One token: sums + (dw * da) * inner, for four groups of four rows. */
function addBlock(sums: usize, scales: usize, da: v128, a: v128, b: v128, c: v128, d: v128): void {
  // All are loaded before one is stored: see coded_product.ts.
  const oldA = v128.load(sums);
  const oldB = v128.load(sums, 16);
  const oldC = v128.load(sums, 32);
  const oldD = v128.load(sums, 48);
  const dwA = v128.load(scales);
  const dwB = v128.load(scales, 16);
  const dwC = v128.load(scales, 32);
  const dwD = v128.load(scales, 48);
  v128.store(sums, f32x4.add(oldA, f32x4.mul(f32x4.mul(dwA, da), f32x4.convert_i32x4_s(a))));
  v128.store(sums, f32x4.add(oldB, f32x4.mul(f32x4.mul(dwB, da), f32x4.convert_i32x4_s(b))), 16);
  v128.store(sums, f32x4.add(oldC, f32x4.mul(f32x4.mul(dwC, da), f32x4.convert_i32x4_s(c))), 32);
  v128.store(sums, f32x4.add(oldD, f32x4.mul(f32x4.mul(dwD, da), f32x4.convert_i32x4_s(d))), 48);
}

/** Up to 16 rows of y, `width` of which exist. */
function loadSums(sums: usize, y: usize, width: i32): void {
  for (let i: usize = 0; i < ROWS_BYTES; i += 16) v128.store(sums + i, loadLanes(y + i, width - <i32>(i >> 2)));
}

function storeSums(y: usize, sums: usize, width: i32): void {
  for (let i: usize = 0; i < ROWS_BYTES; i += 16) storeLanes(y + i, v128.load(sums + i), width - <i32>(i >> 2));
}
