// y[t, o] = sum_k x[t, k] * w[o, k] with q8_0 weights unpacked exactly, in the order of linear_f32.ts.
//                                                                              Twin: src/ops/linear.ts
// Half a panel of 16 rows at a time becomes a panel of 8 in f32; linear_f32 does the rest.
import { f16ToF32x4 } from './lanes';
import { linearPanels, Panels } from './linear_f32';

/** One record: 16 rows x 32 columns as four groups of 4 rows, then 16 scales. */
const BLOCK_SIZE = 32;
const GROUP_BYTES: usize = 128;
const SCALES: usize = 512;
const RECORD_BYTES: usize = 544;
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
  const first = firstPanel << 1; // in panels of 8 rows
  const end = min((firstPanel + nPanels) << 1, (nOut + 7) >> 3);
  linearPanels<Q80Panels>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, first, end, scratch);
}

/** nK of half a panel, its groups 0 and 1 or 2 and 3, as f32, [k][8]. */
class Q80Panels implements Panels {
  panelOf(w: usize, half: i32, nIn: i32, k: i32, nK: i32, room: usize): usize {
    const record = w + (<usize>(half >> 1) * <usize>(nIn / BLOCK_SIZE) + <usize>(k / BLOCK_SIZE)) * RECORD_BYTES;
    const group = (<usize>(half & 1)) << 1;
    const codes = record + group * GROUP_BYTES;
    const scales = record + SCALES + (group << 3);
    unpackGroup(room, codes, scales, nK / BLOCK_SIZE);
    unpackGroup(room + 16, codes + GROUP_BYTES, scales + 8, nK / BLOCK_SIZE);
    return room;
  }
}

/** Four rows, w = d * code. The four codes of a row are the bytes of its 32-bit lane, so lanes are rows after a shift. */
function unpackGroup(to: usize, codes: usize, scales: usize, nBlocks: i32): void {
  for (let b = 0; b < nBlocks; b++) {
    const d = f16ToF32x4(v128.load16x4_s(scales));
    for (let k: usize = 0; k < 8; k++) {
      const c = v128.load(codes + (k << 4));
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
  const code = i32x4.sub(v128.and(i32x4.shr_u(c, shift), i32x4.splat(0xff)), i32x4.splat(128));
  return f32x4.mul(d, f32x4.convert_i32x4_s(code));
}
