// Matrices in blocks of 32 columns, or of 256 with small integer scales for parts of them:    Twin: src/ops/linear_q8.ts
//   y[t, o] = sum over blocks b of (d * da) * sum_j s_j * sum_i c_i a_i - (dmin * da) * sum_j m_j * sum_i a_i, b rising, from +0
//
// The inner sums are exact in 32 bits. A panel is 16 rows: four groups of 4 rows, one behind the other; a group is a record
// of 4 rows for each block. So a group's records are one stream through memory, and lanes are its rows.
import { storeLanes } from '../lanes';
import { QUAD } from './dots';
import { addTotal, CHUNK, GROUP_ROWS, GroupedFormat, PANEL_ROWS, scaleOfBlock, subtractTotal } from './grouped_format';
import { groupedTile, TILE_ROWS, TILE_TOKENS, UNPACKED_COLUMNS, unpackBlocks } from './grouped_tile';
import { groupTokens } from './q8_record';

/** Tokens whose activations stay in the second-level cache while the panels go by. */
const BLOCK_TOKENS = 64;

/** LinearQ8 of a format: see src/exec/wasm/kernels.ts. */
export function linearGrouped<P extends GroupedFormat>(
  y: usize,
  yStride: i32,
  q: usize,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  const format = changetype<P>(0);
  const nBlocks = nIn / format.columns();
  const yBytes = (<usize>yStride) << 2;
  const recordBytes = format.recordBytes();
  const groupBytes = <usize>nBlocks * recordBytes;
  const activationBytes = format.activationBytes();
  const sliceBlocks = UNPACKED_COLUMNS / format.columns();
  const firstRow = firstPanel * PANEL_ROWS;
  const endRow = min((firstPanel + nPanels) * PANEL_ROWS, nOut);
  const nGrouped = groupTokens(nTokens);
  const step = <usize>nGrouped * activationBytes; // from a token's block to its next one
  const tokenBytes = <usize>nBlocks * activationBytes;
  const nTiled = nGrouped === 1 ? 0 : nTokens & ~(TILE_TOKENS - 1);
  for (let t0 = 0; t0 < nTiled; t0 += BLOCK_TOKENS) {
    const t1 = min(t0 + BLOCK_TOKENS, nTiled);
    // At least one slice, so that a sum of nothing is stored too.
    let b = 0;
    do {
      const nSlice = min(sliceBlocks, nBlocks - b);
      for (let row = firstRow; row < endRow; row += TILE_ROWS) {
        const group = w + <usize>(row / GROUP_ROWS) * groupBytes + <usize>b * recordBytes;
        unpackBlocks<P>(scratch, group, groupBytes, nSlice);
        for (let t = t0; t < t1; t += TILE_TOKENS) {
          const at = y + <usize>t * yBytes + ((<usize>row) << 2);
          const a = q + <usize>t * tokenBytes + <usize>b * step;
          groupedTile<P>(at, yBytes, a, step, nSlice, scratch, group, groupBytes, nOut - row, b > 0);
        }
      }
      b += sliceBlocks;
    } while (b < nBlocks);
  }
  y += <usize>nTiled * yBytes;
  q += <usize>nTiled * tokenBytes;
  for (let t = nTiled; t < nTokens; t++, y += yBytes) {
    for (let row = firstRow; row < endRow; row += GROUP_ROWS) {
      const group = w + <usize>(row / GROUP_ROWS) * groupBytes;
      rows4<P>(y + ((<usize>row) << 2), q, step, nBlocks, group, nOut - row);
    }
    q += nGrouped === 1 ? tokenBytes : activationBytes;
  }
}

/** One token x 4 rows, `width` of which exist. step: bytes from a token's block to its next one. */
function rows4<P extends GroupedFormat>(
  y: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  record: usize,
  width: i32,
): void {
  const format = changetype<P>(0);
  const nChunks: usize = format.columns() / CHUNK;
  let acc = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, record += format.recordBytes()) {
    let total = i32x4.splat(0);
    let at = record + format.codesAt();
    let a = q;
    for (let j: usize = 0; j < nChunks; j++, at += format.chunkBytes(), a += 8 * QUAD) {
      total = format.addChunk(total, record, j, at, a, q);
    }
    const da = scaleOfBlock<P>(q);
    acc = addTotal(acc, format.d(record), da, total);
    if (format.hasMins()) acc = subtractTotal(acc, format.dmin(record), da, format.minSums(record, q));
  }
  storeLanes(y, acc, width);
}
