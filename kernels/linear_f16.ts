// y[t, o] = sum_k x[t, k] * w[o, k] with f16 weights, in the order of linear_f32.ts.    Twin: src/ops/linear.ts
//
// w lies in panels of 8 rows, [panel][k][8]: one vector is one k of eight outputs. Decoding is exact, so it does not matter
// whether a weight is decoded once for each token (one token) or into a panel of f32 before (several).
import {
  f16AllFinite,
  f16FirstFour,
  f16LastFour,
  f16UpperHalves,
  finiteF16UpperHalves,
  interleaveFirst,
  interleaveLast,
  loadLanes,
  storeLanes,
} from './lanes';
import { linearPanels, Panels } from './linear_f32';

const PANEL_ROWS = 8;
/** Bytes of one k of a panel, stored and as f32. */
const PANEL_STEP: usize = 16;
const F32_STEP: usize = 32;
/** What a stored weight, its bits moved to where f32 has them, is multiplied by to be itself; see lanes.ts. */
const REBIAS: f32 = 5.192296858534828e33; // 2^112
/** From here on x * 2^112 is not finite. */
const TOO_LARGE: f32 = 65536;
/** Activations that fit the scratch memory of any matrix with rows as long; see linearScratchBytes in src/exec/wasm/layout.ts. */
const MAX_SCALED = 65536;
/** Streams of panels that a matrix x vector product reads side by side; see linear_f32.ts. */
const STREAMS = 4;

/** See Linear in src/exec/wasm/kernels.ts. */
export function linearF16(
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
  const panelBytes = <usize>nIn * PANEL_STEP;
  const endPanel = firstPanel + nPanels;
  let p = firstPanel;
  if (nTokens === 1 && scaleRow(scratch, x, nIn)) {
    // The last panels, which make no whole quarters or have rows beyond nOut, go one by one.
    const quarter = max(0, min(endPanel, nOut / PANEL_ROWS) - firstPanel) / STREAMS;
    const step = <usize>quarter * panelBytes;
    for (const end = p + quarter; p < end; p++) {
      const at = y + ((<usize>(p * PANEL_ROWS)) << 2);
      if (vector4x8(at, <usize>quarter * F32_STEP, scratch, nIn, w + <usize>p * panelBytes, step)) continue;
      for (let i = 0; i < STREAMS; i++) {
        const first = p + i * quarter;
        linearPanels<F16Panels>(y, yBytes, x, xBytes, 1, nIn, w, nOut, first, first + 1, scratch);
      }
      scaleRow(scratch, x, nIn);
    }
    p = firstPanel + STREAMS * quarter;
  }
  linearPanels<F16Panels>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, p, endPanel, scratch);
}

/**
 * x * 2^112, exactly. False, with `to` of no use, when a number of x is too large for that, or x for the scratch memory.
 * NaN may hide such a number, and then all sums are NaN, as they should be.
 */
function scaleRow(to: usize, x: usize, nIn: i32): bool {
  if (nIn > MAX_SCALED) return false;
  const nSimd = (<usize>(nIn & ~3)) << 2;
  const factor = f32x4.splat(REBIAS);
  let largest = f32x4.splat(0);
  for (let i: usize = 0; i < nSimd; i += 16) {
    const v = v128.load(x + i);
    largest = f32x4.pmax(largest, f32x4.abs(v));
    v128.store(to + i, f32x4.mul(v, factor));
  }
  if (nIn & 3) {
    const v = loadLanes(x + nSimd, nIn & 3);
    largest = f32x4.pmax(largest, f32x4.abs(v));
    storeLanes(to + nSimd, f32x4.mul(v, factor), nIn & 3);
  }
  return !v128.any_true(f32x4.ge(largest, f32x4.splat(TOO_LARGE)));
}

/** nK of one panel as f32, [k][8]. */
class F16Panels implements Panels {
  panelOf(w: usize, panel: i32, nIn: i32, k: i32, nK: i32, room: usize): usize {
    let from = w + (<usize>panel * <usize>nIn + <usize>k) * PANEL_STEP;
    const end = from + <usize>nK * PANEL_STEP;
    for (let at = room; from < end; from += PANEL_STEP, at += F32_STEP) {
      const h = v128.load(from);
      const lower = i16x8.shl(h, 13);
      const upper = f16UpperHalves(h);
      v128.store(at, f16FirstFour(lower, upper));
      v128.store(at, f16LastFour(lower, upper), 16);
    }
    return room;
  }
}

/**
 * One token x four panels of 8 rows, yStep and wStep bytes apart: eight sums in registers. `scaled`: the activations * 2^112, so
 * that a weight need not be multiplied into place: (w * 2^-112) * (x * 2^112) has the bits of w * x, rounded once.
 * False, with nothing stored, when a weight is not finite: that is seen at the end, and costs less than a decoding that knows them.
 */
function vector4x8(y: usize, yStep: usize, scaled: usize, nK: i32, w0: usize, wStep: usize): bool {
  let w1 = w0 + wStep;
  let w2 = w1 + wStep;
  let w3 = w2 + wStep;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let a4 = f32x4.splat(0);
  let a5 = f32x4.splat(0);
  let a6 = f32x4.splat(0);
  let a7 = f32x4.splat(0);
  let seen = i16x8.splat(0); // the largest magnitudes, twice their bits
  const end = scaled + ((<usize>nK) << 2);
  for (; scaled < end; scaled += 4) {
    const xk = v128.load32_splat(scaled);
    const h0 = v128.load(w0);
    seen = i16x8.max_u(seen, i16x8.shl(h0, 1));
    const l0 = i16x8.shl(h0, 13);
    const u0 = finiteF16UpperHalves(h0);
    a0 = f32x4.add(a0, f32x4.mul(xk, interleaveFirst(l0, u0)));
    a1 = f32x4.add(a1, f32x4.mul(xk, interleaveLast(l0, u0)));
    const h1 = v128.load(w1);
    seen = i16x8.max_u(seen, i16x8.shl(h1, 1));
    const l1 = i16x8.shl(h1, 13);
    const u1 = finiteF16UpperHalves(h1);
    a2 = f32x4.add(a2, f32x4.mul(xk, interleaveFirst(l1, u1)));
    a3 = f32x4.add(a3, f32x4.mul(xk, interleaveLast(l1, u1)));
    const h2 = v128.load(w2);
    seen = i16x8.max_u(seen, i16x8.shl(h2, 1));
    const l2 = i16x8.shl(h2, 13);
    const u2 = finiteF16UpperHalves(h2);
    a4 = f32x4.add(a4, f32x4.mul(xk, interleaveFirst(l2, u2)));
    a5 = f32x4.add(a5, f32x4.mul(xk, interleaveLast(l2, u2)));
    const h3 = v128.load(w3);
    seen = i16x8.max_u(seen, i16x8.shl(h3, 1));
    const l3 = i16x8.shl(h3, 13);
    const u3 = finiteF16UpperHalves(h3);
    a6 = f32x4.add(a6, f32x4.mul(xk, interleaveFirst(l3, u3)));
    a7 = f32x4.add(a7, f32x4.mul(xk, interleaveLast(l3, u3)));
    w0 += PANEL_STEP;
    w1 += PANEL_STEP;
    w2 += PANEL_STEP;
    w3 += PANEL_STEP;
  }
  if (!f16AllFinite(seen)) return false;
  v128.store(y, a0);
  v128.store(y, a1, 16);
  y += yStep;
  v128.store(y, a2);
  v128.store(y, a3, 16);
  y += yStep;
  v128.store(y, a4);
  v128.store(y, a5, 16);
  y += yStep;
  v128.store(y, a6);
  v128.store(y, a7, 16);
  return true;
}
