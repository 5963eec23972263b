// Step 2, lanes: four rows of w in the four lanes of a vector.    Before: naive.ts
//
// A vector could also hold four neighbouring k of one row. That would make four partial sums, added up at the end: another
// order, so other bits. With a row in each lane every sum is the one of step 1, and one addition serves four outputs.
//
// The price: rows lie far apart, and a lane wants one number of each. Squares of 4 rows x 4 k are loaded along the rows and
// turned over their diagonal in registers, eight shuffles for sixteen products. Still one chain of additions.
import { dot } from './naive';

export function linearLanes(y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  lanesFrom(0, y, x, w, nTokens, nIn, nOut);
}

/** Rows `first` and beyond: four at a time, the last one to three alone. Later steps end with what they leave over. */
export function lanesFrom(first: i32, y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const rowBytes = (<usize>nIn) << 2;
  const yBytes = (<usize>nOut) << 2;
  let o = first;
  for (; o + 4 <= nOut; o += 4) {
    for (let t = 0; t < nTokens; t++) {
      v128.store(
        y + <usize>t * yBytes + ((<usize>o) << 2),
        dot4(x + <usize>t * rowBytes, w + <usize>o * rowBytes, rowBytes),
      );
    }
  }
  for (; o < nOut; o++) {
    for (let t = 0; t < nTokens; t++) {
      store<f32>(y + <usize>t * yBytes + ((<usize>o) << 2), dot(x + <usize>t * rowBytes, w + <usize>o * rowBytes, nIn));
    }
  }
}

function dot4(x: usize, w: usize, rowBytes: usize): v128 {
  let sum = f32x4.splat(0);
  const end = x + rowBytes;
  for (const endSquares = x + (rowBytes & ~15); x < endSquares; x += 16, w += 16) sum = addSquare(sum, x, w, rowBytes);
  for (; x < end; x += 4, w += 4) sum = addColumn(sum, x, w, rowBytes);
  return sum;
}

/** sum + four k of four rows, one k after the other. */
export function addSquare(sum: v128, x: usize, w: usize, rowBytes: usize): v128 {
  const a = v128.load(w); //                        a0 a1 a2 a3
  const b = v128.load(w + rowBytes); //             b0 b1 b2 b3
  const c = v128.load(w + 2 * rowBytes); //         c0 c1 c2 c3
  const d = v128.load(w + 3 * rowBytes); //         d0 d1 d2 d3
  const abLow = v128.shuffle<f32>(a, b, 0, 4, 1, 5); //   a0 b0 a1 b1
  const abHigh = v128.shuffle<f32>(a, b, 2, 6, 3, 7); //  a2 b2 a3 b3
  const cdLow = v128.shuffle<f32>(c, d, 0, 4, 1, 5);
  const cdHigh = v128.shuffle<f32>(c, d, 2, 6, 3, 7);
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x), v128.shuffle<f64>(abLow, cdLow, 0, 2))); // a0 b0 c0 d0
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 4), v128.shuffle<f64>(abLow, cdLow, 1, 3)));
  sum = f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 8), v128.shuffle<f64>(abHigh, cdHigh, 0, 2)));
  return f32x4.add(sum, f32x4.mul(v128.load32_splat(x, 12), v128.shuffle<f64>(abHigh, cdHigh, 1, 3)));
}

/** sum + one k of four rows. */
export function addColumn(sum: v128, x: usize, w: usize, rowBytes: usize): v128 {
  let column = v128.load32_zero(w);
  column = v128.load_lane<f32>(w + rowBytes, column, 1);
  column = v128.load_lane<f32>(w + 2 * rowBytes, column, 2);
  column = v128.load_lane<f32>(w + 3 * rowBytes, column, 3);
  return f32x4.add(sum, f32x4.mul(v128.load32_splat(x), column));
}
