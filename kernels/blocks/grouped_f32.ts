// Rows of formats of small integers as f32, exactly: w = d * s * (code - offset) - dmin * m. Both products are exact in f32 (11 bits of d, at
// most 7 of s and 7 of the code; 11 and 6), so the difference is the one rounding.    Twin: src/quant/formats.ts
import { linearPanels, Panels } from '../linear_f32';
import { CHUNK, GroupedFormat, HALF_BYTES, RECORD_ROWS } from './grouped_format';

/** Bytes of one k of an f32 panel of 8 rows, and of a vector of codes. */
const F32_STEP: usize = 32;
const CODES_STEP: usize = 16;

/** Linear of a format: see src/exec/wasm/kernels.ts. Half a panel at a time becomes a panel of 8 rows in f32. */
export function linearGroupedF32<P extends GroupedFormat>(
  y: usize,
  yStride: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nIn: i32,
  w: usize,
  nOut: i32,
  firstPanel: i32,
  nPanels: i32,
  scratch: usize,
): void {
  const yBytes = (<usize>yStride) << 2;
  const xBytes = (<usize>xStride) << 2;
  const first = firstPanel << 1; // in panels of 8 rows
  const end = min((firstPanel + nPanels) << 1, (nOut + 7) >> 3);
  linearPanels<GroupedPanels<P>>(y, yBytes, x, xBytes, nTokens, nIn, w, nOut, first, end, scratch);
}

/** nK of 8 rows as f32, [k][8]. */
class GroupedPanels<P extends GroupedFormat> implements Panels {
  panelOf(w: usize, half: i32, nIn: i32, k: i32, nK: i32, room: usize): usize {
    const format = changetype<P>(0);
    const columns = format.columns();
    const recordBytes = format.recordBytes();
    const record = w + <usize>(half * (nIn / columns) + k / columns) * recordBytes;
    unpackHalf<P>(room, record, 0, nK / columns);
    unpackHalf<P>(room + 16, record, 1, nK / columns);
    return room;
  }
}

/** The first four rows of the records, or the last four. */
function unpackHalf<P extends GroupedFormat>(to: usize, record: usize, half: usize, nBlocks: i32): void {
  const format = changetype<P>(0);
  for (let b = 0; b < nBlocks; b++, record += format.recordBytes()) {
    const d = format.d(record, half);
    const dmin = format.dmin(record, half);
    let at = record + format.codesAt() + half * HALF_BYTES;
    for (let j: usize = 0; j < <usize>(format.columns() / CHUNK); j++, at += format.chunkBytes()) {
      // The vector of codes of each four columns lies where the last of them will be stored.
      format.unpackSigned(to + 3 * F32_STEP, 4 * F32_STEP, at);
      for (let column: usize = 0; column < <usize>CHUNK; column += 4, to += 4 * F32_STEP) {
        const u = (j * CHUNK + column) / format.unit();
        const scale = f32x4.mul(d, f32x4.convert_i32x4_s(halfOf(format.scales(record, u), half)));
        const codes = v128.load(to, 3 * F32_STEP);
        let min = f32x4.splat(0);
        if (format.hasMins()) {
          min = f32x4.mul(dmin, f32x4.convert_i32x4_s(halfOf(format.mins(record, u), half)));
        }
        v128.store(to, weights<P>(scale, i32x4.shl(codes, 24), min));
        v128.store(to, weights<P>(scale, i32x4.shl(codes, 16), min), F32_STEP);
        v128.store(to, weights<P>(scale, i32x4.shl(codes, 8), min), 2 * F32_STEP);
        v128.store(to, weights<P>(scale, codes, min), 3 * F32_STEP);
      }
    }
  }
}

/** Four of eight i16, as i32. */
function halfOf(v: v128, half: usize): v128 {
  return half ? i32x4.extend_high_i16x8_s(v) : i32x4.extend_low_i16x8_s(v);
}

/** scale * (code - offset) - min; the signed code is the upper byte of each lane. */
function weights<P extends GroupedFormat>(scale: v128, upper: v128, min: v128): v128 {
  const format = changetype<P>(0);
  const code = i32x4.sub(i32x4.shr_s(upper, 24), i32x4.splat(format.offset()));
  const product = f32x4.mul(scale, f32x4.convert_i32x4_s(code));
  return format.hasMins() ? f32x4.sub(product, min) : product;
}

/** Embed of a format: see src/exec/wasm/kernels.ts. */
export function embedGrouped<P extends GroupedFormat>(y: usize, ids: usize, nTokens: i32, w: usize, nIn: i32): void {
  const format = changetype<P>(0);
  const columns = format.columns();
  const nBlocks = nIn / columns;
  for (let t = 0; t < nTokens; t++) {
    const id = load<i32>(ids + ((<usize>t) << 2));
    const row = id % RECORD_ROWS;
    let record = w + <usize>(id / RECORD_ROWS) * <usize>nBlocks * format.recordBytes();
    for (let b = 0; b < nBlocks; b++, record += format.recordBytes(), y += 4 * columns) {
      for (let j: usize = 0; j < <usize>(columns / CHUNK); j++) embedChunk<P>(y + j * 4 * CHUNK, record, j, row);
    }
  }
}

/** 32 columns of one row. Their codes, those of the other rows with them, first lie in the same 128 bytes. */
function embedChunk<P extends GroupedFormat>(y: usize, record: usize, j: usize, row: i32): void {
  const format = changetype<P>(0);
  const half: usize = row / 4;
  const inHalf = row % 4;
  format.unpackSigned(y, CODES_STEP, record + format.codesAt() + j * format.chunkBytes() + half * HALF_BYTES);
  for (let column: usize = 0; column < <usize>CHUNK; column += 4, y += CODES_STEP) {
    const u = (j * CHUNK + column) / format.unit();
    const d = lane(format.d(record, half), inHalf);
    const scale = d * <f32>integerLane(halfOf(format.scales(record, u), half), inHalf);
    const codes = load<i32>(y + ((<usize>inHalf) << 2));
    for (let k: usize = 0; k < 4; k++) {
      const code = ((codes << (24 - 8 * <i32>k)) >> 24) - format.offset();
      let value = scale * <f32>code;
      if (format.hasMins())
        value -=
          lane(format.dmin(record, half), inHalf) * <f32>integerLane(halfOf(format.mins(record, u), half), inHalf);
      store<f32>(y + (k << 2), value);
    }
  }
}

function lane(v: v128, i: i32): f32 {
  if (i === 0) return f32x4.extract_lane(v, 0);
  if (i === 1) return f32x4.extract_lane(v, 1);
  if (i === 2) return f32x4.extract_lane(v, 2);
  return f32x4.extract_lane(v, 3);
}

function integerLane(wide: v128, i: i32): i32 {
  if (i === 0) return i32x4.extract_lane(wide, 0);
  if (i === 1) return i32x4.extract_lane(wide, 1);
  if (i === 2) return i32x4.extract_lane(wide, 2);
  return i32x4.extract_lane(wide, 3);
}
