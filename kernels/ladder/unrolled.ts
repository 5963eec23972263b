// Step 3, unrolled: eight rows at a time, two sums that do not wait for each other.    Before: lanes.ts
//
// The additions of one sum still come one after the other, but while one sum waits for its last addition, the processor works
// on the other: latency is hidden by work that is independent. The order within each sum is untouched.
//
// More rows would hide more, and for one token sixteen are faster. But rows lie as far apart as they are long: when that is a
// large power of two, they compete for the same places in the first-level cache, and sixteen are more than it has.
import { addColumn, addSquare, lanesFrom } from './lanes';

/** Rows of one pass. */
const ROWS = 8;

export function linearUnrolled(y: usize, x: usize, w: usize, nTokens: i32, nIn: i32, nOut: i32): void {
  const rowBytes = (<usize>nIn) << 2;
  let o = 0;
  for (; o + ROWS <= nOut; o += ROWS) {
    for (let t = 0; t < nTokens; t++) {
      dot8(y + ((<usize>(t * nOut + o)) << 2), x + <usize>t * rowBytes, w + <usize>o * rowBytes, rowBytes);
    }
  }
  lanesFrom(o, y, x, w, nTokens, nIn, nOut);
}

function dot8(y: usize, x: usize, w0: usize, rowBytes: usize): void {
  let w1 = w0 + 4 * rowBytes;
  let s0 = f32x4.splat(0);
  let s1 = f32x4.splat(0);
  const end = x + rowBytes;
  for (const endSquares = x + (rowBytes & ~15); x < endSquares; x += 16) {
    s0 = addSquare(s0, x, w0, rowBytes);
    s1 = addSquare(s1, x, w1, rowBytes);
    w0 += 16;
    w1 += 16;
  }
  for (; x < end; x += 4) {
    s0 = addColumn(s0, x, w0, rowBytes);
    s1 = addColumn(s1, x, w1, rowBytes);
    w0 += 4;
    w1 += 4;
  }
  v128.store(y, s0);
  v128.store(y, s1, 16);
}
