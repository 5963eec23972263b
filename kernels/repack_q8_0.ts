// Rows of q8_0 blocks into panels of 16 rows: records of 16 rows x 32 columns.    Layout: src/exec/wasm/layout.ts

const PANEL_ROWS = 16;
const BLOCK_SIZE = 32;
/** A block in the file: f16 scale, then 32 bytes of codes. */
const BLOCK_BYTES: usize = 34;
const CODE_BYTES: usize = 32;
/** A record: four groups of 4 rows, [byte / 4][row][byte % 4], then 16 scales. */
const GROUP_BYTES: usize = 128;
const SCALES: usize = 512;
const RECORD_BYTES: usize = 544;
/** The exponent of infinities and NaN in f16. */
const NOT_FINITE: u32 = 0x7c00;
/** Codes are stored as code + 128: unsigned bytes, whose nibbles and halves come out without sign extension. */
const SIGN_BITS: u32 = 0x80808080;

/** See Repack in src/exec/wasm/kernels.ts: rows missing in the last panel become zeros; 1 when all scales are finite. */
export function repackQ80(dst: usize, src: usize, nRows: i32, nIn: i32): i32 {
  const nBlocks = nIn / BLOCK_SIZE;
  const panelBytes = <usize>nBlocks * RECORD_BYTES;
  let finite = true;
  for (let row = 0; row < nRows; row += PANEL_ROWS, dst += panelBytes) {
    const n = min(PANEL_ROWS, nRows - row);
    if (n < PANEL_ROWS) memory.fill(dst, 0, panelBytes); // their scales are 0
    for (let r = 0; r < n; r++) {
      let scale = dst + SCALES + ((<usize>r) << 1);
      let codes = dst + <usize>(r >> 2) * GROUP_BYTES + ((<usize>(r & 3)) << 2);
      for (let b = 0; b < nBlocks; b++, src += BLOCK_BYTES, scale += RECORD_BYTES, codes += RECORD_BYTES) {
        const d = <u32>load<u16>(src);
        finite = finite && (d & NOT_FINITE) !== NOT_FINITE;
        store<u16>(scale, <u16>d);
        for (let i: usize = 0; i < CODE_BYTES; i += 4) {
          store<u32>(codes + (i << 2), load<u32>(src + i, 2) ^ SIGN_BITS);
        }
      }
    }
  }
  return finite ? 1 : 0;
}
