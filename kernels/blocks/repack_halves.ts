// Rows of weights of 16 bits into panels of 8 rows, [panel][k][8], and whether all are finite.    Layout: src/exec/wasm/layout.ts

import { storeColumns8 } from '../lanes';

const PANEL_ROWS = 8;
const ELEMENT: usize = 2;
/** Columns that are turned at once: eight rows of eight lanes. */
const COLUMNS: usize = 8;

/**
 * See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all weights are finite.
 * exponentBits: those that are all set in infinities and NaN alone.
 */
export function repackHalves(dst: usize, src: usize, nRows: i32, nIn: i32, exponentBits: u16): i32 {
  const rowBytes = <usize>nIn * ELEMENT;
  const panelBytes = rowBytes * PANEL_ROWS;
  const whole = <usize>nIn & ~(COLUMNS - 1);
  const exponent = i16x8.splat(exponentBits);
  let notFinite = i16x8.splat(0);
  let finite = true;
  for (; nRows >= PANEL_ROWS; nRows -= PANEL_ROWS, src += panelBytes, dst += panelBytes) {
    const end = src + whole * ELEMENT;
    let to = dst;
    for (let from = src; from < end; from += COLUMNS * ELEMENT, to += COLUMNS * ELEMENT * PANEL_ROWS) {
      notFinite = v128.or(notFinite, storeColumns8(to, from, rowBytes, exponent));
    }
    if (!repackRows(dst, src, PANEL_ROWS, whole, nIn, exponentBits)) finite = false;
  }
  if (nRows > 0) {
    memory.fill(dst, 0, panelBytes);
    if (!repackRows(dst, src, nRows, 0, nIn, exponentBits)) finite = false;
  }
  return finite && !v128.any_true(notFinite) ? 1 : 0;
}

/** Columns from `first` on of rows of one panel, one number after another. */
function repackRows(dst: usize, src: usize, nRows: i32, first: usize, nIn: i32, exponentBits: u16): bool {
  let finite = true;
  for (let r = 0; r < nRows; r++, src += <usize>nIn * ELEMENT) {
    let to = dst + (first * PANEL_ROWS + <usize>r) * ELEMENT;
    for (let k = first; k < <usize>nIn; k++, to += ELEMENT * PANEL_ROWS) {
      const bits = load<u16>(src + k * ELEMENT);
      finite = finite && (bits & exponentBits) !== exponentBits;
      store<u16>(to, bits);
    }
  }
  return finite;
}
