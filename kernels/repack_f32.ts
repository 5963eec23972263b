// Rows of f32 weights into panels of 8 rows, [panel][k][8].    Layout: src/exec/wasm/layout.ts

const PANEL_ROWS = 8;
const ELEMENT: usize = 4;
/** The exponent of infinities and NaN. */
const NOT_FINITE: u32 = 0x7f800000;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all weights are finite. */
export function repackF32(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const rowBytes = <usize>nIn * ELEMENT;
  const panelBytes = rowBytes * PANEL_ROWS;
  let finite = true;
  for (let row = 0; row < nRows; row += PANEL_ROWS, dst += panelBytes) {
    const n = min(PANEL_ROWS, nRows - row);
    if (n < PANEL_ROWS) memory.fill(dst, 0, panelBytes);
    for (let r = 0; r < n; r++, src += rowBytes) {
      let to = dst + <usize>r * ELEMENT;
      for (let from = src; from < src + rowBytes; from += ELEMENT, to += ELEMENT * PANEL_ROWS) {
        const bits = <u32>load<u32>(from);
        finite = finite && (bits & NOT_FINITE) !== NOT_FINITE;
        store<u32>(to, <u32>bits);
      }
    }
  }
  return finite ? 1 : 0;
}
