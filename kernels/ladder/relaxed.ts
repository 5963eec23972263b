// Step 7, relaxed: sixteen products in an instruction.    Definition: src/ops/linear_q8.ts    Before: integer.ts
//
// `i16x8.relaxed_dot_i8x16_i7x16_s` multiplies sixteen pairs of bytes and adds neighbours into eight 16-bit sums: twice the
// products of step 6, and activations take half the bytes. It is called relaxed because processors differ where the second
// operand is not in 0..127 or a sum leaves 16 bits. Stored codes are 0..15, so neither happens: the same integers everywhere.
//
// Sums stay in 16 bits over a block. Each gets 16 products, and with the 8 taken out a product is at most 8 * 127:
// 16 * 8 * 127 < 2^15. On the way a sum may wrap around; its end is in range, so it is exact. Then neighbours are added in
// 32 bits.
//
// w: as in step 6.  q: as in step 6, but 32 codes as i8 in their order; and where sums start is a pair of i16: -8 times the
// sum of the codes of columns 0 and 1 (mod 4), and of columns 2 and 3.
import { storeLanes } from '../lanes';

const BLOCK_SIZE = 32;
const PANEL_ROWS = 16;
const TILE_TOKENS = 4;
/** Bytes of a group's codes, and of a record: the codes of four groups, their scales. */
const GROUP: usize = 64;
const SCALES: usize = 256;
const WEIGHT_RECORD: usize = 320;
const SCALE_AT: usize = 32;
const START_AT: usize = 36;
const TOKEN_RECORD: usize = 40;
/** The low four bits of bytes, in memory: V8 would build a vector constant anew at every use. */
const NIBBLES = memory.data<u32>([0x0f0f0f0f]);

export function linearRelaxed(y: usize, q: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const nBlocks = <usize>(nIn / BLOCK_SIZE);
  const panelBytes = nBlocks * WEIGHT_RECORD;
  const tokenBytes = nBlocks * TOKEN_RECORD;
  const yBytes = (<usize>nOut) << 2;
  const nTiled = nTokens - (nTokens % TILE_TOKENS);
  const few = <usize>(nTokens - nTiled);
  for (let o = 0; o < nOut; o += PANEL_ROWS, y += 4 * PANEL_ROWS, w += panelBytes) {
    for (let t = 0; t < nTiled; t += TILE_TOKENS) {
      const to = y + <usize>t * yBytes;
      const from = q + <usize>t * tokenBytes;
      tile4x4(to, yBytes, from, w, w + SCALES, panelBytes, nOut - o);
      tile4x4(to + 16, yBytes, from, w + GROUP, w + SCALES + 16, panelBytes, nOut - o - 4);
      tile4x4(to + 32, yBytes, from, w + 2 * GROUP, w + SCALES + 32, panelBytes, nOut - o - 8);
      tile4x4(to + 48, yBytes, from, w + 3 * GROUP, w + SCALES + 48, panelBytes, nOut - o - 12);
    }
    const last = q + <usize>nTiled * tokenBytes;
    for (let i: usize = 0; i < few; i++) {
      vector(y + (<usize>nTiled + i) * yBytes, last + i * TOKEN_RECORD, few * TOKEN_RECORD, w, panelBytes, nOut - o);
    }
  }
}

/** Four rows x four tokens: codes are taken out of their bytes once for four tokens. */
function tile4x4(y: usize, yBytes: usize, q: usize, w: usize, scales: usize, panelBytes: usize, width: i32): void {
  const nibbles = v128.load32_splat(NIBBLES);
  let y0 = f32x4.splat(0);
  let y1 = y0;
  let y2 = y0;
  let y3 = y0;
  for (const end = w + panelBytes; w < end; w += WEIGHT_RECORD) {
    let s0 = v128.load32_splat(q, START_AT);
    let s1 = v128.load32_splat(q, TOKEN_RECORD + START_AT);
    let s2 = v128.load32_splat(q, 2 * TOKEN_RECORD + START_AT);
    let s3 = v128.load32_splat(q, 3 * TOKEN_RECORD + START_AT);
    for (let i: usize = 0; i < GROUP; i += 16) {
      const codes = v128.load(w + i);
      const low = v128.and(codes, nibbles);
      const high = v128.and(i16x8.shr_u(codes, 4), nibbles);
      const at = q + (i >> 2);
      s0 = addDot(addDot(s0, v128.load32_splat(at), low), v128.load32_splat(at, 16), high);
      s1 = addDot(addDot(s1, v128.load32_splat(at, TOKEN_RECORD), low), v128.load32_splat(at, TOKEN_RECORD + 16), high);
      s2 = addDot(
        addDot(s2, v128.load32_splat(at, 2 * TOKEN_RECORD), low),
        v128.load32_splat(at, 2 * TOKEN_RECORD + 16),
        high,
      );
      s3 = addDot(
        addDot(s3, v128.load32_splat(at, 3 * TOKEN_RECORD), low),
        v128.load32_splat(at, 3 * TOKEN_RECORD + 16),
        high,
      );
    }
    const dw = v128.load(scales);
    y0 = addBlock(y0, dw, v128.load32_splat(q, SCALE_AT), s0);
    y1 = addBlock(y1, dw, v128.load32_splat(q, TOKEN_RECORD + SCALE_AT), s1);
    y2 = addBlock(y2, dw, v128.load32_splat(q, 2 * TOKEN_RECORD + SCALE_AT), s2);
    y3 = addBlock(y3, dw, v128.load32_splat(q, 3 * TOKEN_RECORD + SCALE_AT), s3);
    scales += WEIGHT_RECORD;
    q += TILE_TOKENS * TOKEN_RECORD;
  }
  storeLanes(y, y0, width);
  storeLanes(y + yBytes, y1, width);
  storeLanes(y + 2 * yBytes, y2, width);
  storeLanes(y + 3 * yBytes, y3, width);
}

/** Sixteen rows x one token, whose records are `step` bytes apart: four groups share its codes. */
function vector(y: usize, q: usize, step: usize, w: usize, panelBytes: usize, width: i32): void {
  const nibbles = v128.load32_splat(NIBBLES);
  let y0 = f32x4.splat(0);
  let y1 = y0;
  let y2 = y0;
  let y3 = y0;
  for (const end = w + panelBytes; w < end; w += WEIGHT_RECORD, q += step) {
    let s0 = v128.load32_splat(q, START_AT);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let i: usize = 0; i < GROUP; i += 16) {
      const at = q + (i >> 2);
      s0 = addCodes(s0, v128.load(w + i), at, nibbles);
      s1 = addCodes(s1, v128.load(w + i, GROUP), at, nibbles);
      s2 = addCodes(s2, v128.load(w + i, 2 * GROUP), at, nibbles);
      s3 = addCodes(s3, v128.load(w + i, 3 * GROUP), at, nibbles);
    }
    const da = v128.load32_splat(q, SCALE_AT);
    y0 = addBlock(y0, v128.load(w, SCALES), da, s0);
    y1 = addBlock(y1, v128.load(w, SCALES + 16), da, s1);
    y2 = addBlock(y2, v128.load(w, SCALES + 32), da, s2);
    y3 = addBlock(y3, v128.load(w, SCALES + 48), da, s3);
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}

/** sums + 8 columns: four, and the four that lie 16 columns on. */
function addCodes(sums: v128, codes: v128, at: usize, nibbles: v128): v128 {
  sums = addDot(sums, v128.load32_splat(at), v128.and(codes, nibbles));
  return addDot(sums, v128.load32_splat(at, 16), v128.and(i16x8.shr_u(codes, 4), nibbles));
}

function addDot(sums: v128, a: v128, codes: v128): v128 {
  return i16x8.add(sums, i16x8.relaxed_dot_i8x16_i7x16_s(a, codes));
}

/** acc + (dw * da) * sums */
function addBlock(acc: v128, dw: v128, da: v128, sums: v128): v128 {
  const exact = f32x4.convert_i32x4_s(i32x4.extadd_pairwise_i16x8_s(sums));
  return f32x4.add(acc, f32x4.mul(f32x4.mul(dw, da), exact));
}
