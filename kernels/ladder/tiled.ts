// Step 4, tiled: four rows x eight tokens in registers.    Before: unrolled.ts
//
// With several tokens every weight is used several times. A tile of sums stays in registers, a square of weights is loaded
// and turned once for all tokens of the tile, and eight sums hide the latency of each other. Sixteen registers hold eight sums,
// four columns of weights, one number of x and one product.
//
// One token has no second use for a weight: for it this step is the one before.
import { addColumn, lanesFrom } from './lanes';
import { linearUnrolled } from './unrolled';

const TILE_ROWS = 4;
const TILE_TOKENS = 8;

export function linearTiled(y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const rowBytes = (<usize>nIn) << 2;
  const yBytes = (<usize>nOut) << 2;
  const nTiled = nTokens - (nTokens % TILE_TOKENS);
  let o = 0;
  for (; o + TILE_ROWS <= nOut; o += TILE_ROWS) {
    for (let t = 0; t < nTiled; t += TILE_TOKENS) {
      tile4x8(
        y + <usize>t * yBytes + ((<usize>o) << 2),
        yBytes,
        x + <usize>t * rowBytes,
        w + <usize>o * rowBytes,
        rowBytes,
      );
    }
  }
  lanesFrom(o, y, x, w, nTiled, nIn, nOut);
  linearUnrolled(y + <usize>nTiled * yBytes, x + <usize>nTiled * rowBytes, w, nTokens - nTiled, nIn, nOut);
}

function tile4x8(y: usize, yBytes: usize, x: usize, w: usize, rowBytes: usize): void {
  const x1 = rowBytes;
  const x2 = 2 * rowBytes;
  const x3 = 3 * rowBytes;
  let s0 = f32x4.splat(0);
  let s1 = s0;
  let s2 = s0;
  let s3 = s0;
  let s4 = s0;
  let s5 = s0;
  let s6 = s0;
  let s7 = s0;
  const end = x + rowBytes;
  for (const endSquares = x + (rowBytes & ~15); x < endSquares; x += 16, w += 16) {
    const a = v128.load(w);
    const b = v128.load(w + rowBytes);
    const c = v128.load(w + 2 * rowBytes);
    const d = v128.load(w + 3 * rowBytes);
    const abLow = v128.shuffle<f32>(a, b, 0, 4, 1, 5);
    const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7);
    const cdLow = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
    const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
    const k0 = v128.shuffle<f64>(abLow, cdLow, 0, 2);
    const k1 = v128.shuffle<f64>(abLow, cdLow, 1, 3);
    const k2 = v128.shuffle<f64>(abHigh, cdHigh, 0, 2);
    const k3 = v128.shuffle<f64>(abHigh, cdHigh, 1, 3);
    const far = x + 4 * rowBytes;
    s0 = addFour(s0, x, k0, k1, k2, k3);
    s1 = addFour(s1, x + x1, k0, k1, k2, k3);
    s2 = addFour(s2, x + x2, k0, k1, k2, k3);
    s3 = addFour(s3, x + x3, k0, k1, k2, k3);
    s4 = addFour(s4, far, k0, k1, k2, k3);
    s5 = addFour(s5, far + x1, k0, k1, k2, k3);
    s6 = addFour(s6, far + x2, k0, k1, k2, k3);
    s7 = addFour(s7, far + x3, k0, k1, k2, k3);
  }
  for (; x < end; x += 4, w += 4) {
    s0 = addColumn(s0, x, w, rowBytes);
    s1 = addColumn(s1, x + x1, w, rowBytes);
    s2 = addColumn(s2, x + x2, w, rowBytes);
    s3 = addColumn(s3, x + x3, w, rowBytes);
    const far = x + 4 * rowBytes;
    s4 = addColumn(s4, far, w, rowBytes);
    s5 = addColumn(s5, far + x1, w, rowBytes);
    s6 = addColumn(s6, far + x2, w, rowBytes);
    s7 = addColumn(s7, far + x3, w, rowBytes);
  }
  const yFar = y + 4 * yBytes;
  v128.store(y, s0);
  v128.store(y + yBytes, s1);
  v128.store(y + 2 * yBytes, s2);
  v128.store(y + 3 * yBytes, s3);
  v128.store(yFar, s4);
  v128.store(yFar + yBytes, s5);
  v128.store(yFar + 2 * yBytes, s6);
  v128.store(yFar + 3 * yBytes, s7);
}

/** sum + four k of one token, in their order; k0 to k3 hold them for four rows. */
function addFour(sum: v128, x: usize, k0: v128, k1: v128, k2: v128, k3: v128): v128 {
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x), k0));
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 4), k1));
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 8), k2));
  return f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 12), k3));
}
