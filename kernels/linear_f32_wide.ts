// y[t, o] = sum_k x[t, k] * w[o, k] in float64, k rising, from +0, rounded to f32 once.    Twin: src/ops/linear.ts
//
// w lies as plain rows: `embed` of any format gives them. The two lanes are two rows; four tokens share what is read of them.

/** Tokens of a tile. */
const TILE = 4;

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function linearF32Wide(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nRows: i32,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  const rowBytes = (<usize>nIn) << 2;
  for (let row = 0; row < nRows; row += 2, w += 2 * rowBytes, y += 8) {
    // A last row that is alone stands in both lanes.
    const isPair = row + 1 < nRows;
    const other = isPair ? rowBytes : 0;
    let yt = y;
    let xt = x;
    let t = 0;
    for (; t + TILE <= nTokens; t += TILE, yt += TILE * yBytes, xt += TILE * xBytes) {
      tile4(yt, yBytes, xt, xBytes, nIn, w, other, isPair);
    }
    for (; t < nTokens; t++, yt += yBytes, xt += xBytes) tile1(yt, xt, nIn, w, other, isPair);
  }
}

function tile4(
  y: usize,
  yBytes: usize,
  xa: usize,
  xBytes: usize,
  nIn: i32,
  w: usize,
  other: usize,
  isPair: bool,
): void {
  let xb = xa + xBytes;
  let xc = xb + xBytes;
  let xd = xc + xBytes;
  let a = f64x2.splat(0);
  let b = f64x2.splat(0);
  let c = f64x2.splat(0);
  let d = f64x2.splat(0);
  const end = w + ((<usize>nIn) << 2);
  for (; w < end; w += 4) {
    const pair = weights(w, other);
    a = f64x2.add(a, f64x2.mul(f64x2.splat(<f64>load<f32>(xa)), pair));
    b = f64x2.add(b, f64x2.mul(f64x2.splat(<f64>load<f32>(xb)), pair));
    c = f64x2.add(c, f64x2.mul(f64x2.splat(<f64>load<f32>(xc)), pair));
    d = f64x2.add(d, f64x2.mul(f64x2.splat(<f64>load<f32>(xd)), pair));
    xa += 4;
    xb += 4;
    xc += 4;
    xd += 4;
  }
  storeRounded(y, a, isPair);
  storeRounded(y + yBytes, b, isPair);
  storeRounded(y + 2 * yBytes, c, isPair);
  storeRounded(y + 3 * yBytes, d, isPair);
}

function tile1(y: usize, x: usize, nIn: i32, w: usize, other: usize, isPair: bool): void {
  let a = f64x2.splat(0);
  const end = w + ((<usize>nIn) << 2);
  for (; w < end; w += 4, x += 4) {
    a = f64x2.add(a, f64x2.mul(f64x2.splat(<f64>load<f32>(x)), weights(w, other)));
  }
  storeRounded(y, a, isPair);
}

/** One k of two rows, `other` bytes apart. */
function weights(w: usize, other: usize): v128 {
  return f64x2.replace_lane(f64x2.splat(<f64>load<f32>(w)), 1, <f64>load<f32>(w + other));
}

function storeRounded(y: usize, sums: v128, isPair: bool): void {
  const rounded = f32x4.demote_f64x2_zero(sums);
  store<f32>(y, f32x4.extract_lane(rounded, 0));
  if (isPair) store<f32>(y, f32x4.extract_lane(rounded, 1), 4);
}
