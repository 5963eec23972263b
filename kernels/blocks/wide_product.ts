// Matrix x matrix for formats whose blocks of 32 weights are d * code, codes being any int8, with activations in q8:
//   y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i cw[o, i] * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// Codes and activations are multiplied as pairs of i16, which any int8 fits. Activations of some blocks of all tokens are widened
// once (the plain build has them wide already), and codes of the same blocks of one panel after the other; y holds the sums
// from one stretch of blocks to the next. Lanes are rows.
import { loadLanes, storeLanes } from '../lanes';
import { ACTIVATION_BYTES, CODE_BYTES, GROUP_TOKENS, SCALE_AT } from './q8_record';

/** Rows of a panel. */
const PANEL_ROWS = 16;
/** Blocks and tokens that are worked on at a time: 136 kB of activations in the second-level cache, 17 kB of weights in the first. */
const STRETCH_BLOCKS = 16;
const BLOCK_TOKENS = 128;

/** One block of one token: 32 i16, each four in the order 0 2 1 3, and an f32 scale. As q8_record.ts has it in the plain build. */
const WIDE_SCALE_AT: usize = 64;
const WIDE_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 68 : ACTIVATION_BYTES;

/** Codes of one block of 16 rows, [column / 4][columns 0 2, then 1 3 of the four][row][2], and its scales; also the sums of one token. */
const BLOCK_CODE_BYTES: usize = 1024;
const STEP_BYTES: usize = 64;
const ROWS_BYTES: usize = 4 * PANEL_ROWS;

/** Parts of scratch memory: codes, scales, sums of a group, activations. */
const SCALES: usize = STRETCH_BLOCKS * BLOCK_CODE_BYTES;
const SUMS: usize = SCALES + STRETCH_BLOCKS * ROWS_BYTES;
const WIDE: usize = SUMS + GROUP_TOKENS * ROWS_BYTES;

/** How a format's panels of 16 rows become codes and scales. */
export interface WidePanels {
  /** Bytes of one record: 16 rows x 32 columns. */
  recordBytes(): usize;
  /** Codes and f32 scales (16 for each block) of nBlocks records. */
  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void;
}

/**
 * nTokens: at least one group; the last group is filled up with zeros.
 * scratch: see linearScratchBytes in src/exec/wasm/layout.ts. P has methods and no fields: see linearPanels in linear_f32.ts.
 */
export function wideProduct<P extends WidePanels>(
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
      // From one group of tokens to the next.
      let groupStep = <usize>GROUP_TOKENS * tokenBytes;
      let wide = q + <usize>t * tokenBytes + <usize>(b * GROUP_TOKENS) * ACTIVATION_BYTES;
      if (ASC_FEATURE_RELAXED_SIMD) {
        widen(scratch + WIDE, wide, groupStep, n, nStretch);
        wide = scratch + WIDE;
        groupStep = <usize>(nStretch * GROUP_TOKENS) * WIDE_BYTES;
      }
      for (let p = firstPanel; p < endPanel; p++) {
        const row = p * PANEL_ROWS;
        panels.unpack(scratch, scratch + SCALES, w + <usize>(p * nBlocks + b) * panels.recordBytes(), nStretch);
        const at = y + <usize>t * yBytes + ((<usize>row) << 2);
        addStretch(at, yBytes, scratch, wide, groupStep, n, nStretch, nOut - row, b > 0);
      }
      b += STRETCH_BLOCKS;
    } while (b < nBlocks);
  }
}

/** Records of whole groups of tokens as [group][block][token of the group]. */
function widen(to: usize, q: usize, groupStep: usize, nTokens: i32, nStretch: i32): void {
  for (let t = 0; t < nTokens; t += GROUP_TOKENS, q += groupStep) {
    let from = q;
    for (let i = 0; i < nStretch * GROUP_TOKENS; i++, from += ACTIVATION_BYTES, to += WIDE_BYTES) {
      for (let c: usize = 0; c < CODE_BYTES; c += 8) {
        const codes = v128.load8x8_s(from + c);
        v128.store(to + (c << 1), v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7));
      }
      store<f32>(to, load<f32>(from, SCALE_AT), WIDE_SCALE_AT);
    }
  }
}

/** All tokens x one panel over the stretch, `width` of its rows; `more` goes on from the sums in y. */
function addStretch(
  y: usize,
  yBytes: usize,
  scratch: usize,
  q: usize,
  groupStep: usize,
  nTokens: i32,
  nStretch: i32,
  width: i32,
  more: bool,
): void {
  const sums = scratch + SUMS;
  for (let t = 0; t < nTokens; t += GROUP_TOKENS, q += groupStep) {
    const n = min(GROUP_TOKENS, nTokens - t);
    if (!more) memory.fill(sums, 0, GROUP_TOKENS * ROWS_BYTES);
    else for (let i = 0; i < n; i++) loadSums(sums + <usize>i * ROWS_BYTES, y + <usize>i * yBytes, width);
    addTile(sums, q, nStretch, scratch, scratch + SCALES);
    addTile(sums + 32, q, nStretch, scratch + 32, scratch + SCALES + 32);
    for (let i = 0; i < n; i++, y += yBytes) storeSums(y, sums + <usize>i * ROWS_BYTES, width);
  }
}

/** Four tokens x 8 rows (groups a and b of four): eight integer sums, two codes, one activation. */
function addTile(sums: usize, q: usize, nBlocks: i32, codes: usize, scales: usize): void {
  for (let i = 0; i < nBlocks; i++, q += GROUP_TOKENS * WIDE_BYTES - 64, scales += ROWS_BYTES) {
    const at = q;
    let a0 = i32x4.splat(0);
    let a1 = i32x4.splat(0);
    let a2 = i32x4.splat(0);
    let a3 = i32x4.splat(0);
    let b0 = i32x4.splat(0);
    let b1 = i32x4.splat(0);
    let b2 = i32x4.splat(0);
    let b3 = i32x4.splat(0);
    for (const end = codes + BLOCK_CODE_BYTES; codes < end; codes += STEP_BYTES, q += 4) {
      const a = v128.load(codes);
      const b = v128.load(codes, 16);
      const q0 = v128.load32_splat(q);
      a0 = i32x4.add(a0, i32x4.dot_i16x8_s(q0, a));
      b0 = i32x4.add(b0, i32x4.dot_i16x8_s(q0, b));
      const q1 = v128.load32_splat(q, WIDE_BYTES);
      a1 = i32x4.add(a1, i32x4.dot_i16x8_s(q1, a));
      b1 = i32x4.add(b1, i32x4.dot_i16x8_s(q1, b));
      const q2 = v128.load32_splat(q, 2 * WIDE_BYTES);
      a2 = i32x4.add(a2, i32x4.dot_i16x8_s(q2, a));
      b2 = i32x4.add(b2, i32x4.dot_i16x8_s(q2, b));
      const q3 = v128.load32_splat(q, 3 * WIDE_BYTES);
      a3 = i32x4.add(a3, i32x4.dot_i16x8_s(q3, a));
      b3 = i32x4.add(b3, i32x4.dot_i16x8_s(q3, b));
    }
    const da = v128.load(scales);
    const db = v128.load(scales, 16);
    addBlock(sums, da, db, v128.load32_splat(at, WIDE_SCALE_AT), a0, b0);
    addBlock(sums + ROWS_BYTES, da, db, v128.load32_splat(at, WIDE_BYTES + WIDE_SCALE_AT), a1, b1);
    addBlock(sums + 2 * ROWS_BYTES, da, db, v128.load32_splat(at, 2 * WIDE_BYTES + WIDE_SCALE_AT), a2, b2);
    addBlock(sums + 3 * ROWS_BYTES, da, db, v128.load32_splat(at, 3 * WIDE_BYTES + WIDE_SCALE_AT), a3, b3);
  }
}

/** One token: sums + (dw * da) * inner, for groups a and b of four rows. */
function addBlock(sums: usize, dwA: v128, dwB: v128, da: v128, a: v128, b: v128): void {
  // Both are loaded before one is stored: see coded_product.ts.
  const oldA = v128.load(sums);
  const oldB = v128.load(sums, 16);
  v128.store(sums, f32x4.add(oldA, f32x4.mul(f32x4.mul(dwA, da), f32x4.convert_i32x4_s(a))));
  v128.store(sums, f32x4.add(oldB, f32x4.mul(f32x4.mul(dwB, da), f32x4.convert_i32x4_s(b))), 16);
}

/** Up to 16 rows of y, `width` of which exist. */
function loadSums(sums: usize, y: usize, width: i32): void {
  for (let i: usize = 0; i < ROWS_BYTES; i += 16) v128.store(sums + i, loadLanes(y + i, width - <i32>(i >> 2)));
}

function storeSums(y: usize, sums: usize, width: i32): void {
  for (let i: usize = 0; i < ROWS_BYTES; i += 16) storeLanes(y + i, v128.load(sums + i), width - <i32>(i >> 2));
}
