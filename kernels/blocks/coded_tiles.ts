// A few tokens x a matrix in records of 4-bit codes (16 rows x 32 columns, [byte / 4][row][byte % 4], then 16 f16 scales):
//   y[t, o] = sum over blocks b of (dw[o, b] * da[t, b]) * inner[t, o, b], b rising, from +0.     Twin: src/ops/linear_q8.ts
// Tiles of 8 rows x 4 tokens, whose codes are taken out of their bytes as they are read. Unpacking a panel into memory first, as
// coded_product.ts does, takes the time of one token and a half, which pays for more than eight. Relaxed build alone: in the plain
// one, where a byte of codes makes four vectors, unpacking pays from four tokens on.
import { f16ToF32x4, nibblesOfBytes } from '../lanes';
import { addBlock, PANEL_ROWS, ROWS_BYTES, storeSums } from './coded_product';
import { DotForm } from './dot_forms';
import { ACTIVATION_BYTES, GROUP_TOKENS, scaleOf } from './q8_record';

/** Tokens up to which tiles are faster: four take 0.74 of the time that unpacking first takes, eight 0.92 to 0.96. */
export const TILE_TOKENS = ASC_FEATURE_RELAXED_SIMD ? 8 : 0;

/** Bytes of a step: of 16 rows the columns i .. i + 3 and, in their high halves, 16 later ones. */
const STEP_BYTES: usize = 64;
const SCALES: usize = 256;
const RECORD_BYTES: usize = 288;

/** Activations of four columns, and of those that lie in high halves. */
const STEP: usize = 4;
const HIGH: usize = 16;

/** nTokens: at most TILE_TOKENS; their last group may be filled up with zeros.  scratch: the sums of one group, 256 bytes.  log2Offset: of the codes. */
export function codedTiles<D extends DotForm>(
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
  log2Offset: i32,
): void {
  const groupBytes = <usize>(GROUP_TOKENS * nBlocks) * ACTIVATION_BYTES;
  for (let p = firstPanel; p < endPanel; p++) {
    const record = w + <usize>p * <usize>nBlocks * RECORD_BYTES;
    const row = p * PANEL_ROWS;
    let to = y + ((<usize>row) << 2);
    let from = q;
    for (let t = 0; t < nTokens; t += GROUP_TOKENS, to += GROUP_TOKENS * yBytes, from += groupBytes) {
      memory.fill(scratch, 0, GROUP_TOKENS * ROWS_BYTES);
      addTile<D>(scratch, from, nBlocks, record, record + SCALES, log2Offset);
      addTile<D>(scratch + 32, from, nBlocks, record + 32, record + SCALES + 16, log2Offset);
      storeSums(to, yBytes, scratch, min(GROUP_TOKENS, nTokens - t), nOut - row);
    }
  }
}

/** Four tokens x 8 rows (two groups of four) x all blocks; eight integer sums. The f32 sums wait in memory meanwhile. */
function addTile<D extends DotForm>(
  sums: usize,
  q: usize,
  nBlocks: i32,
  codes: usize,
  scales: usize,
  log2Offset: i32,
): void {
  const dots = changetype<D>(0);
  const mask = nibblesOfBytes();
  let at = q;
  for (let b = 0; b < nBlocks; b++, codes += RECORD_BYTES - SCALES, scales += RECORD_BYTES) {
    let a0 = dots.start(q, log2Offset);
    let a1 = dots.start(q + ACTIVATION_BYTES, log2Offset);
    let a2 = dots.start(q + 2 * ACTIVATION_BYTES, log2Offset);
    let a3 = dots.start(q + 3 * ACTIVATION_BYTES, log2Offset);
    let b0 = a0;
    let b1 = a1;
    let b2 = a2;
    let b3 = a3;
    // A loop, and not its four turns one after the other: of those V8 makes twice the instructions, most of them moves.
    for (const end = codes + SCALES; codes < end; codes += STEP_BYTES, at += STEP) {
      const ca = v128.load(codes);
      const cb = v128.load(codes, 16);
      let wa = v128.and(ca, mask);
      let wb = v128.and(cb, mask);
      let x = v128.load32_splat(at);
      a0 = dots.step(a0, x, wa);
      b0 = dots.step(b0, x, wb);
      x = v128.load32_splat(at, ACTIVATION_BYTES);
      a1 = dots.step(a1, x, wa);
      b1 = dots.step(b1, x, wb);
      x = v128.load32_splat(at, 2 * ACTIVATION_BYTES);
      a2 = dots.step(a2, x, wa);
      b2 = dots.step(b2, x, wb);
      x = v128.load32_splat(at, 3 * ACTIVATION_BYTES);
      a3 = dots.step(a3, x, wa);
      b3 = dots.step(b3, x, wb);
      wa = v128.and(i16x8.shr_u(ca, 4), mask);
      wb = v128.and(i16x8.shr_u(cb, 4), mask);
      x = v128.load32_splat(at, HIGH);
      a0 = dots.step(a0, x, wa);
      b0 = dots.step(b0, x, wb);
      x = v128.load32_splat(at, HIGH + ACTIVATION_BYTES);
      a1 = dots.step(a1, x, wa);
      b1 = dots.step(b1, x, wb);
      x = v128.load32_splat(at, HIGH + 2 * ACTIVATION_BYTES);
      a2 = dots.step(a2, x, wa);
      b2 = dots.step(b2, x, wb);
      x = v128.load32_splat(at, HIGH + 3 * ACTIVATION_BYTES);
      a3 = dots.step(a3, x, wa);
      b3 = dots.step(b3, x, wb);
    }
    const da = f16ToF32x4(v128.load16x4_s(scales));
    const db = f16ToF32x4(v128.load16x4_s(scales, 8));
    addBlock<D>(sums, da, db, scaleOf(q), a0, b0);
    addBlock<D>(sums + ROWS_BYTES, da, db, scaleOf(q + ACTIVATION_BYTES), a1, b1);
    addBlock<D>(sums + 2 * ROWS_BYTES, da, db, scaleOf(q + 2 * ACTIVATION_BYTES), a2, b2);
    addBlock<D>(sums + 3 * ROWS_BYTES, da, db, scaleOf(q + 3 * ACTIVATION_BYTES), a3, b3);
    q += GROUP_TOKENS * ACTIVATION_BYTES;
    at = q;
  }
}
