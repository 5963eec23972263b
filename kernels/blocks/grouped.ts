// Matrices in blocks of 32 columns, or of 256 with small integer scales for parts of them:    Twin: src/ops/linear_q8.ts
//   y[t, o] = sum over blocks b of (d * da) * sum_j s_j * sum_i c_i a_i - (dmin * da) * sum_j m_j * sum_i a_i, b rising, from +0
//
// The inner sums are exact in 32 bits. A panel is 16 rows: two halves of 8 rows, one behind the other; a half is a record of 8 rows for each
// block. So its records are one stream through memory, and the lanes of two vectors are its rows, which share the loads of activations.
import { bytesOfWords, storeLanes } from '../lanes';
import { QUAD, quad0, quad1, quad2, quad3 } from './dots';
import {
  addHigh,
  addLow,
  addTotal,
  CHUNK,
  GroupedFormat,
  HALF_BYTES,
  PANEL_ROWS,
  RECORD_ROWS,
  scaleOfBlock,
  subtractTotal,
  unitScales,
} from './grouped_format';
import { groupedTile, TILE_TOKENS, UNPACKED_COLUMNS, unpackBlocks } from './grouped_tile';
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
  const rowsBytes = <usize>nBlocks * recordBytes; // of 8 rows
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
      for (let row = firstRow; row < endRow; row += RECORD_ROWS) {
        const record = w + <usize>(row / RECORD_ROWS) * rowsBytes + <usize>b * recordBytes;
        unpackBlocks<P>(scratch, record, nSlice);
        for (let t = t0; t < t1; t += TILE_TOKENS) {
          const at = y + <usize>t * yBytes + ((<usize>row) << 2);
          const a = q + <usize>t * tokenBytes + <usize>b * step;
          groupedTile<P>(at, yBytes, a, step, nSlice, scratch, record, nOut - row, b > 0);
        }
      }
      b += sliceBlocks;
    } while (b < nBlocks);
  }
  y += <usize>nTiled * yBytes;
  q += <usize>nTiled * tokenBytes;
  for (let t = nTiled; t < nTokens; t++, y += yBytes) {
    for (let row = firstRow; row < endRow; row += RECORD_ROWS) {
      const record = w + <usize>(row / RECORD_ROWS) * rowsBytes;
      const at = y + ((<usize>row) << 2);
      if (ASC_FEATURE_RELAXED_SIMD) {
        rows8<P>(at, q, step, nBlocks, record, nOut - row);
      } else {
        for (let half = 0; half < 2; half++)
          rows4<P>(at + (half << 4), q, step, nBlocks, record, half, nOut - row - 4 * half);
      }
    }
    q += nGrouped === 1 ? tokenBytes : activationBytes;
  }
}

/** One token x 8 rows, `width` of which exist, which share the loads of activations. step: bytes from a token's block to its next one. */
function rows8<P extends GroupedFormat>(
  y: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  record: usize,
  width: i32,
): void {
  const format = changetype<P>(0);
  const nChunks: usize = format.columns() / CHUNK;
  const perChunk: usize = CHUNK / format.unit();
  const mask = format.mask();
  let low = f32x4.splat(0);
  let high = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, record += format.recordBytes()) {
    let totalLow = i32x4.splat(0);
    let totalHigh = i32x4.splat(0);
    for (let plane: usize = 0; plane < format.planes(); plane++) {
      let at = record + format.codesAt();
      let a = q;
      let u: usize = 0;
      for (let j: usize = 0; j < nChunks; j++, at += format.chunkBytes(), a += 4 * QUAD, u++) {
        let sumsLow = format.start(q, u, plane);
        let sumsHigh = sumsLow;
        let x0 = quad0(a);
        let x1 = quad1(a);
        let x2 = quad2(a);
        let x3 = quad3(a);
        sumsLow = format.dotFirst(sumsLow, plane, at, a, x0, x1, x2, x3, mask);
        sumsHigh = format.dotFirst(sumsHigh, plane, at + HALF_BYTES, a, x0, x1, x2, x3, mask);
        if (perChunk === 2) {
          const scales = unitScales<P>(record, u, plane);
          totalLow = addLow<P>(totalLow, sumsLow, scales);
          totalHigh = addHigh<P>(totalHigh, sumsHigh, scales);
          u++;
          sumsLow = format.start(q, u, plane);
          sumsHigh = sumsLow;
        }
        a += 4 * QUAD;
        x0 = quad0(a);
        x1 = quad1(a);
        x2 = quad2(a);
        x3 = quad3(a);
        sumsLow = format.dotLast(sumsLow, plane, at, a, x0, x1, x2, x3, mask);
        sumsHigh = format.dotLast(sumsHigh, plane, at + HALF_BYTES, a, x0, x1, x2, x3, mask);
        const scales = unitScales<P>(record, u, plane);
        totalLow = addLow<P>(totalLow, sumsLow, scales);
        totalHigh = addHigh<P>(totalHigh, sumsHigh, scales);
      }
    }
    const da = scaleOfBlock<P>(q);
    low = addTotal(low, format.d(record, 0), da, totalLow);
    high = addTotal(high, format.d(record, 1), da, totalHigh);
    if (format.hasMins()) {
      low = subtractTotal(low, format.dmin(record, 0), da, format.minSums(record, q, 0));
      high = subtractTotal(high, format.dmin(record, 1), da, format.minSums(record, q, 1));
    }
  }
  storeLanes(y, low, width);
  storeLanes(y + 16, high, width - 4);
}

/** One token x the first or the last four rows of the records: in the plain build activations take too many registers to be shared. */
function rows4<P extends GroupedFormat>(
  y: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  record: usize,
  half: usize,
  width: i32,
): void {
  const format = changetype<P>(0);
  const nChunks: usize = format.columns() / CHUNK;
  const perChunk: usize = CHUNK / format.unit();
  const mask = format.mask();
  const even = bytesOfWords();
  let acc = f32x4.splat(0);
  for (let b = 0; b < nBlocks; b++, q += step, record += format.recordBytes()) {
    let total = i32x4.splat(0);
    for (let plane: usize = 0; plane < format.planes(); plane++) {
      let at = record + format.codesAt() + half * HALF_BYTES;
      let a = q;
      let u: usize = 0;
      for (let j: usize = 0; j < nChunks; j++, at += format.chunkBytes(), a += 8 * QUAD, u++) {
        const start = format.start(q, u, plane);
        let sums = format.dotFirst(start, plane, at, a, even, even, even, even, mask);
        if (perChunk === 2) {
          total = addHalf<P>(total, sums, unitScales<P>(record, u, plane), half);
          u++;
          sums = format.start(q, u, plane);
        }
        sums = format.dotLast(sums, plane, at, a + 4 * QUAD, even, even, even, even, mask);
        total = addHalf<P>(total, sums, unitScales<P>(record, u, plane), half);
      }
    }
    const da = scaleOfBlock<P>(q);
    acc = addTotal(acc, format.d(record, half), da, total);
    if (format.hasMins()) acc = subtractTotal(acc, format.dmin(record, half), da, format.minSums(record, q, half));
  }
  storeLanes(y, acc, width);
}

/** total + scales * sums, of the first four rows or the last four. */
function addHalf<P extends GroupedFormat>(total: v128, sums: v128, scales: v128, half: usize): v128 {
  return half ? addHigh<P>(total, sums, scales) : addLow<P>(total, sums, scales);
}
