// Rows of f16 weights into panels of 8 rows, [panel][k][8].    Layout: src/exec/wasm/layout.ts

import { storeColumns8 } from './lanes';

const PANEL_ROWS = 8;
const ELEMENT: usize = 2;
/** Columns that are turned at once: eight rows of eight lanes. */
const COLUMNS: usize = 8;
/** The exponent of infinities and NaN. */
const NOT_FINITE: u16 = 0x7c00;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all weights are finite. */
export function repackF16(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const rowBytes = <usize>nIn * ELEMENT;
  const panelBytes = rowBytes * PANEL_ROWS;
  const whole = <usize>nIn & ~(COLUMNS - 1);
  const exponent = i16x8.splat(NOT_FINITE);
  let notFinite = i16x8.splat(0);
  let finite = true;
  for (; nRows >= PANEL_ROWS; nRows -= PANEL_ROWS, src += panelBytes, dst += panelBytes) {
    const end = src + whole * ELEMENT;
    let to = dst;
    for (let from = src; from < end; from += COLUMNS * ELEMENT, to += COLUMNS * ELEMENT * PANEL_ROWS) {
      notFinite = v128.or(notFinite, storeColumns8(to, from, rowBytes, exponent));
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
      const bits = load<u16>(src + k * ELEMENT);
      finite = finite && (bits & NOT_FINITE) !== NOT_FINITE;
      store<u16>(to, bits);
    }
  }
  return finite;
}
