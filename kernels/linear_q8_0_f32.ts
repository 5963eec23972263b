// y[t, o] = sum_k x[t, k] * w[o, k] with q8_0 weights unpacked exactly, in the order of linear_f32.ts.
//                                                                              Twin: src/ops/linear.ts
// One token: unpacked in registers. Several: half a panel of 16 rows at a time becomes a panel of 8 in f32; linear_f32 does the rest.
import { f16ToF32x4, storeLanes } from './lanes';
import { linearPanels, Panels } from './linear_f32';

/** One record: 16 rows x 32 columns, [byte / 4][row][byte % 4], then 16 scales. */
const PANEL_ROWS = 16;
const BLOCK_SIZE = 32;
/** The same four bytes of 16 rows. */
const STEP_BYTES: usize = 64;
const SCALES: usize = 512;
const RECORD_BYTES: usize = 544;
/** Mask and offset of a code, from memory: see CONSTANTS in lanes.ts. */
const CODE = memory.data<u32>([0xff, 128]);
/** Bytes of one k of an f32 panel. */
const F32_STEP: usize = 32;

/** See Linear in src/exec/wasm/kernels.ts. */
export function linearQ80F32(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  if (nTokens === 1) {
    const nBlocks = nIn / BLOCK_SIZE;
    for (let p = firstPanel; p < firstPanel + nPanels; p++) {
      const row = p * PANEL_ROWS;
      vector16(y + ((<usize>row) << 2), x, nBlocks, w + <usize>(p * nBlocks) * RECORD_BYTES, nOut - row);
    }
    return;
  }
  const first = firstPanel << 1; // in panels of 8 rows
  const end = min((firstPanel + nPanels) << 1, (nOut + 7) >> 3);
  linearPanels<Q80Panels>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, first, end, scratch);
}

/** nK of half a panel, 8 rows, as f32, [k][8]. */
class Q80Panels implements Panels {
  panelOf(w: usize, half: i32, nIn: i32, k: i32, nK: i32, room: usize): usize {
    const record = w + (<usize>(half >> 1) * <usize>(nIn / BLOCK_SIZE) + <usize>(k / BLOCK_SIZE)) * RECORD_BYTES;
    const row = (<usize>(half & 1)) << 3;
    const codes = record + (row << 2);
    const scales = record + SCALES + (row << 1);
    unpackGroup(room, codes, scales, nK / BLOCK_SIZE);
    unpackGroup(room + 16, codes + 16, scales + 8, nK / BLOCK_SIZE);
    return room;
  }
}

/** Four rows, w = d * code. The four codes of a row are the bytes of its 32-bit lane, so lanes are rows after a shift. */
function unpackGroup(to: usize, codes: usize, scales: usize, nBlocks: i32): void {
  for (let b = 0; b < nBlocks; b++) {
    const d = f16ToF32x4(v128.load16x4_s(scales));
    for (let k: usize = 0; k < 8; k++) {
      const c = v128.load(codes + (k << 6));
      const at = to + k * 4 * F32_STEP;
      v128.store(at, scaled(d, c, 0));
      v128.store(at + F32_STEP, scaled(d, c, 8));
      v128.store(at + 2 * F32_STEP, scaled(d, c, 16));
      v128.store(at + 3 * F32_STEP, scaled(d, c, 24));
    }
    codes += RECORD_BYTES;
    scales += RECORD_BYTES;
    to += F32_STEP * BLOCK_SIZE;
  }
}

/** d * (byte - 128), the byte that starts at bit `shift` of each lane. */
function scaled(d: v128, c: v128, shift: i32): v128 {
  const code = i32x4.sub(v128.and(i32x4.shr_u(c, shift), v128.load32_splat(CODE)), v128.load32_splat(CODE, 4));
  return f32x4.mul(d, f32x4.convert_i32x4_s(code));
}

/** One token x 16 rows, `width` of which exist: weights are unpacked in registers, in the order of k. */
function vector16(y: usize, x: usize, nBlocks: i32, record: usize, width: i32): void {
  let y0 = f32x4.splat(0);
  let y1 = f32x4.splat(0);
  let y2 = f32x4.splat(0);
  let y3 = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, record += RECORD_BYTES) {
    const d0 = f16ToF32x4(v128.load16x4_s(record, SCALES));
    const d1 = f16ToF32x4(v128.load16x4_s(record, SCALES + 8));
    const d2 = f16ToF32x4(v128.load16x4_s(record, SCALES + 16));
    const d3 = f16ToF32x4(v128.load16x4_s(record, SCALES + 24));
    for (let i: usize = 0; i < SCALES; i += STEP_BYTES, x += 16) {
      const c0 = v128.load(record + i);
      const c1 = v128.load(record + i, 16);
      const c2 = v128.load(record + i, 32);
      const c3 = v128.load(record + i, 48);
      const x0 = v128.load32_splat(x);
      y0 = f32x4.add(y0, f32x4.mul(x0, scaled(d0, c0, 0)));
      y1 = f32x4.add(y1, f32x4.mul(x0, scaled(d1, c1, 0)));
      y2 = f32x4.add(y2, f32x4.mul(x0, scaled(d2, c2, 0)));
      y3 = f32x4.add(y3, f32x4.mul(x0, scaled(d3, c3, 0)));
      const x1 = v128.load32_splat(x, 4);
      y0 = f32x4.add(y0, f32x4.mul(x1, scaled(d0, c0, 8)));
      y1 = f32x4.add(y1, f32x4.mul(x1, scaled(d1, c1, 8)));
      y2 = f32x4.add(y2, f32x4.mul(x1, scaled(d2, c2, 8)));
      y3 = f32x4.add(y3, f32x4.mul(x1, scaled(d3, c3, 8)));
      const x2 = v128.load32_splat(x, 8);
      y0 = f32x4.add(y0, f32x4.mul(x2, scaled(d0, c0, 16)));
      y1 = f32x4.add(y1, f32x4.mul(x2, scaled(d1, c1, 16)));
      y2 = f32x4.add(y2, f32x4.mul(x2, scaled(d2, c2, 16)));
      y3 = f32x4.add(y3, f32x4.mul(x2, scaled(d3, c3, 16)));
      const x3 = v128.load32_splat(x, 12);
      y0 = f32x4.add(y0, f32x4.mul(x3, scaled(d0, c0, 24)));
      y1 = f32x4.add(y1, f32x4.mul(x3, scaled(d1, c1, 24)));
      y2 = f32x4.add(y2, f32x4.mul(x3, scaled(d2, c2, 24)));
      y3 = f32x4.add(y3, f32x4.mul(x3, scaled(d3, c3, 24)));
    }
  }
  storeLanes(y, y0, width);
  storeLanes(y + 16, y1, width - 4);
  storeLanes(y + 32, y2, width - 8);
  storeLanes(y + 48, y3, width - 12);
}
