// Matrix x matrix for formats whose blocks of 32 weights are d * (code - offset), codes in 0..31, with activations in q8:
//   y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * sum_i (code[o, i] - offset) * ca[t, i], b rising, from +0.
//                                                                              Twin: src/ops/linear_q8.ts
// Some blocks of a panel at a time are unpacked into scratch memory: codes as the dot product takes them, scales as f32. They
// then serve every token, and the innermost loop is loads and dot products and nothing else. The f32 sums wait in memory
// meanwhile, so that the integer sums of a tile keep their registers. Lanes are rows; the order of sums is that of blocks.
import { storeLanes } from '../lanes';
import { DotForm } from './dot_forms';
import { ACTIVATION_BYTES, CODE_BYTES, GROUP_TOKENS, scaleOf } from './q8_record';

/** Rows of a panel. */
export const PANEL_ROWS = 16;
/** Blocks that are unpacked at a time: with the sums of a block of tokens they stay in the first-level cache. */
const SLICE_BLOCKS = 8;
/** Tokens that one unpacking serves; their activations stay in the second-level cache while the panels go by. */
const BLOCK_TOKENS = 128;

/**
 * Codes of one block of 16 rows. The relaxed build multiplies bytes: [column / 4][row][column % 4]. The other one multiplies
 * pairs of i16: [column / 4][columns 0 2, then 1 3 of the four][row][2].
 */
export const BLOCK_CODE_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 512 : 1024;
/** Codes that one step of the innermost loop takes, of 16 rows. */
const STEP_BYTES: usize = 64;
/** Scales of one block of 16 rows, and sums of one token. */
export const ROWS_BYTES: usize = 4 * PANEL_ROWS;
const SCALES: usize = SLICE_BLOCKS * BLOCK_CODE_BYTES;
const SUMS: usize = SCALES + SLICE_BLOCKS * ROWS_BYTES;

/** How a format's panels of 16 rows become codes and scales. */
export interface CodedPanels {
  /** Bytes of one record: 16 rows x 32 columns. */
  recordBytes(): usize;
  /** The offset of the codes is 2 to this power. */
  log2Offset(): i32;
  /** Codes and f32 scales (16 for each block) of nBlocks records. */
  unpack(codes: usize, scales: usize, record: usize, nBlocks: i32): void;
}

/**
 * nTokens: at least one group; its last group may be filled up with zeros.
 * scratch: `linearScratchBytes` of src/exec/wasm/layout.ts. P has methods and no fields: see linearPanels in linear_f32.ts.
 */
export function codedProduct<P extends CodedPanels, D extends DotForm>(
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
  for (let t0 = 0; t0 < nTokens; t0 += BLOCK_TOKENS) {
    const n = min(BLOCK_TOKENS, nTokens - t0);
    for (let p = firstPanel; p < endPanel; p++) {
      memory.fill(scratch + SUMS, 0, BLOCK_TOKENS * ROWS_BYTES);
      let record = w + <usize>p * <usize>nBlocks * panels.recordBytes();
      let slice = q + <usize>t0 * tokenBytes;
      for (let b = 0; b < nBlocks; b += SLICE_BLOCKS) {
        const nSlice = min(SLICE_BLOCKS, nBlocks - b);
        panels.unpack(scratch, scratch + SCALES, record, nSlice);
        addSlice<D>(scratch, slice, tokenBytes, n, nSlice, panels.log2Offset());
        record += <usize>nSlice * panels.recordBytes();
        slice += <usize>(nSlice * GROUP_TOKENS) * ACTIVATION_BYTES;
      }
      const row = p * PANEL_ROWS;
      storeSums(y + <usize>t0 * yBytes + ((<usize>row) << 2), yBytes, scratch + SUMS, n, nOut - row);
    }
  }
}

/** All tokens x the unpacked blocks: tiles of 4 tokens x 8 rows. */
function addSlice<D extends DotForm>(
  scratch: usize,
  q: usize,
  tokenBytes: usize,
  nTokens: i32,
  nSlice: i32,
  log2Offset: i32,
): void {
  let sums = scratch + SUMS;
  for (let t = 0; t < nTokens; t += GROUP_TOKENS) {
    addTile<D>(sums, q, nSlice, scratch, scratch + SCALES, log2Offset);
    addTile<D>(sums + 32, q, nSlice, scratch + 32, scratch + SCALES + 32, log2Offset);
    q += <usize>GROUP_TOKENS * tokenBytes;
    sums += GROUP_TOKENS * ROWS_BYTES;
  }
}

/** Four tokens x 8 rows (groups a and b of four): eight integer sums, two codes, one activation. */
function addTile<D extends DotForm>(
  sums: usize,
  q: usize,
  nBlocks: i32,
  codes: usize,
  scales: usize,
  log2Offset: i32,
): void {
  const dots = changetype<D>(0);
  for (let b = 0; b < nBlocks; b++, q += GROUP_TOKENS * ACTIVATION_BYTES - CODE_BYTES, scales += ROWS_BYTES) {
    let a0 = dots.start(q, log2Offset);
    let a1 = dots.start(q + ACTIVATION_BYTES, log2Offset);
    let a2 = dots.start(q + 2 * ACTIVATION_BYTES, log2Offset);
    let a3 = dots.start(q + 3 * ACTIVATION_BYTES, log2Offset);
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let b3 = a3;
    const at = q;
    for (const end = codes + BLOCK_CODE_BYTES; codes < end; codes += STEP_BYTES, q += 4) {
      const ca = v128.load(codes);
      const cb = v128.load(codes, 16);
      const q0 = v128.load32_splat(q);
      a0 = dots.step(a0, q0, ca);
      b0 = dots.step(b0, q0, cb);
      const q1 = v128.load32_splat(q, ACTIVATION_BYTES);
      a1 = dots.step(a1, q1, ca);
      b1 = dots.step(b1, q1, cb);
      const q2 = v128.load32_splat(q, 2 * ACTIVATION_BYTES);
      a2 = dots.step(a2, q2, ca);
      b2 = dots.step(b2, q2, cb);
      const q3 = v128.load32_splat(q, 3 * ACTIVATION_BYTES);
      a3 = dots.step(a3, q3, ca);
      b3 = dots.step(b3, q3, cb);
    }
    const da = v128.load(scales);
    const db = v128.load(scales, 16);
    addBlock<D>(sums, da, db, scaleOf(at), a0, b0);
    addBlock<D>(sums + ROWS_BYTES, da, db, scaleOf(at + ACTIVATION_BYTES), a1, b1);
    addBlock<D>(sums + 2 * ROWS_BYTES, da, db, scaleOf(at + 2 * ACTIVATION_BYTES), a2, b2);
    addBlock<D>(sums + 3 * ROWS_BYTES, da, db, scaleOf(at + 3 * ACTIVATION_BYTES), a3, b3);
  }
}

/** One token: sums + (dw * da) * inner, for groups a and b of four rows. */
export function addBlock<D extends DotForm>(sums: usize, dwA: v128, dwB: v128, da: v128, a: v128, b: v128): void {
  // Both are loaded before one is stored, so that a compiler may make one wide vector of two.
  const oldA = v128.load(sums);
  const oldB = v128.load(sums, 16);
  const innerA = f32x4.convert_i32x4_s(changetype<D>(0).inner(a));
  const innerB = f32x4.convert_i32x4_s(changetype<D>(0).inner(b));
  v128.store(sums, f32x4.add(oldA, f32x4.mul(f32x4.mul(dwA, da), innerA)));
  v128.store(sums, f32x4.add(oldB, f32x4.mul(f32x4.mul(dwB, da), innerB)), 16);
}

/** Up to 16 rows of y, `width` of which exist. */
export function storeSums(y: usize, yBytes: usize, sums: usize, nTokens: i32, width: i32): void {
  for (let t = 0; t < nTokens; t++, y += yBytes, sums += ROWS_BYTES) {
    storeLanes(y, v128.load(sums), width);
    storeLanes(y + 16, v128.load(sums, 16), width - 4);
    storeLanes(y + 32, v128.load(sums, 32), width - 8);
    storeLanes(y + 48, v128.load(sums, 48), width - 12);
  }
}
