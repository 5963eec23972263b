// Rows of f32 weights into panels of 8 rows, [panel][k][8].    Layout: src/exec/wasm/layout.ts

import { storeColumns4 } from './lanes';

const PANEL_ROWS = 8;
const ELEMENT: usize = 4;
/** Four rows and columns are turned at once, so a panel in two halves. */
const TURNED: usize = 4;
const HALVES: usize = 2;
/** The exponent of infinities and NaN. */
const NOT_FINITE: u32 = 0x7f800000;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all weights are finite. */
export function repackF32(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const rowBytes = <usize>nIn * ELEMENT;
  const panelBytes = rowBytes * PANEL_ROWS;
  const whole = <usize>nIn & ~(TURNED - 1);
  const exponent = i32x4.splat(NOT_FINITE);
  let notFinite = i32x4.splat(0);
  let finite = true;
  for (; nRows >= PANEL_ROWS; nRows -= PANEL_ROWS, src += panelBytes, dst += panelBytes) {
    for (let half: usize = 0; half < HALVES; half++) {
      const row = src + half * TURNED * rowBytes;
      let to = dst + half * TURNED * ELEMENT;
      const end = row + whole * ELEMENT;
      for (let from = row; from < end; from += TURNED * ELEMENT, to += TURNED * ELEMENT * PANEL_ROWS) {
        const a = v128.load(from);
        const b = v128.load(from + rowBytes);
        const c = v128.load(from + 2 * rowBytes);
        const d = v128.load(from + 3 * rowBytes);
        storeColumns4(to, ELEMENT * PANEL_ROWS, a, b, c, d);
        notFinite = v128.or(notFinite, i32x4.eq(v128.and(a, exponent), exponent));
        notFinite = v128.or(notFinite, i32x4.eq(v128.and(b, exponent), exponent));
        notFinite = v128.or(notFinite, i32x4.eq(v128.and(c, exponent), exponent));
        notFinite = v128.or(notFinite, i32x4.eq(v128.and(d, exponent), exponent));
      }
    }
    if (!repackRows(dst, src, PANEL_ROWS, whole, nIn)) finite = false;
  }
  if (nRows > 0) {
    memory.fill(dst, 0, panelBytes);
    if (!repackRows(dst, src, nRows, 0, nIn)) finite = false;
  }
  return finite && !v128.any_true(notFinite) ? 1 : 0;
}

/** Columns from `first` on of rows of one panel, one number after another. */
function repackRows(dst: usize, src: usize, nRows: i32, first: usize, nIn: i32): bool {
  let finite = true;
  for (let r = 0; r < nRows; r++, src += <usize>nIn * ELEMENT) {
    let to = dst + (first * PANEL_ROWS + <usize>r) * ELEMENT;
    for (let k = first; k < <usize>nIn; k++, to += ELEMENT * PANEL_ROWS) {
      const bits = load<u32>(src + k * ELEMENT);
      finite = finite && (bits & NOT_FINITE) !== NOT_FINITE;
      store<u32>(to, bits);
    }
  }
  return finite;
}
