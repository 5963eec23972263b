// Tiles of 8 rows x 4 tokens of grouped.ts. A slice of 8 rows is unpacked once, into codes that all tokens of a
// block then read. The relaxed build multiplies bytes: [block][plane][column / 4][8 rows][column % 4]; the other one i16:
// [block][plane][column / 4][columns 0 2, then 1 3 of the four][8 rows][2].
import { dotStep, loadLanes, storeLanes } from '../lanes';
import { addFactored, factorsHigh, factorsLow } from './dots';
import { addTotal, CHUNK, GroupedFormat, HALF_BYTES, scaleOfBlock, subtractTotal, unitScales } from './grouped_format';

export const TILE_TOKENS = 4;
/** Columns of a slice: 16 kB of codes stay in the first-level cache. */
export const UNPACKED_COLUMNS = 2048;
/** Bytes of a step of the innermost loop, and of one column of 8 rows. */
const STEP_BYTES: usize = 32;
const COLUMN_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 8 : 16;
/** Bytes of the codes of a chunk as unpacked: 4 columns of 8 rows take two vectors. */
const CHUNK_BYTES: usize = 256;
const TWO_VECTORS: usize = 32;

/** nBlocks of 8 rows. */
export function unpackBlocks<P extends GroupedFormat>(to: usize, record: usize, nBlocks: i32): void {
  const format = changetype<P>(0);
  for (let b = 0; b < nBlocks; b++, record += format.recordBytes()) {
    for (let plane: usize = 0; plane < format.planes(); plane++) {
      let at = record + format.codesAt();
      for (let j: usize = 0; j < <usize>(format.columns() / CHUNK); j++, at += format.chunkBytes()) {
        const codes = ASC_FEATURE_RELAXED_SIMD ? to : to + CHUNK_BYTES;
        format.unpack(codes, TWO_VECTORS, at, plane);
        format.unpack(codes + 16, TWO_VECTORS, at + HALF_BYTES, plane);
        if (!ASC_FEATURE_RELAXED_SIMD) widen(to, codes);
        to += CHUNK * COLUMN_BYTES;
      }
    }
  }
}

/** The bytes of a chunk as i16, in the order of the activations; `from` is the second half of the room at `to`. */
function widen(to: usize, from: usize): void {
  for (const end = from + CHUNK_BYTES; from < end; from += TWO_VECTORS, to += 2 * TWO_VECTORS) {
    const a = v128.load(from);
    const b = v128.load(from, 16);
    v128.store(to, i16x8.shr_s(i16x8.shl(a, 8), 8));
    v128.store(to, i16x8.shr_s(i16x8.shl(b, 8), 8), 16);
    v128.store(to, i16x8.shr_s(a, 8), 32);
    v128.store(to, i16x8.shr_s(b, 8), 48);
  }
}

/**
 * 4 tokens x 8 rows, `width` of which exist, over nBlocks; `more` goes on from the sums in y.
 * q, step: the first token's block, and how far its next one is; the tokens are neighbours.
 */
export function groupedTile<P extends GroupedFormat>(
  y: usize,
  yBytes: usize,
  q: usize,
  step: usize,
  nBlocks: i32,
  codes: usize,
  record: usize,
  width: i32,
  more: bool,
): void {
  const format = changetype<P>(0);
  const token = format.activationBytes(); // from a token's record to the next one's
  const low = more ? width : 0;
  const high = more ? width - 4 : 0;
  let a0 = loadLanes(y, low);
  let b0 = loadLanes(y + 16, high);
  let a1 = loadLanes(y + yBytes, low);
  let b1 = loadLanes(y + yBytes + 16, high);
  let a2 = loadLanes(y + 2 * yBytes, low);
  let b2 = loadLanes(y + 2 * yBytes + 16, high);
  let a3 = loadLanes(y + 3 * yBytes, low);
  let b3 = loadLanes(y + 3 * yBytes + 16, high);
  for (let b = 0; b < nBlocks; b++, q += step, record += format.recordBytes()) {
    let ta0 = i32x4.splat(0);
    let tb0 = i32x4.splat(0);
    let ta1 = i32x4.splat(0);
    let tb1 = i32x4.splat(0);
    let ta2 = i32x4.splat(0);
    let tb2 = i32x4.splat(0);
    let ta3 = i32x4.splat(0);
    let tb3 = i32x4.splat(0);
    for (let plane: usize = 0; plane < format.planes(); plane++) {
      let a = q;
      for (let u: usize = 0; u < <usize>format.columns() / format.unit(); u++) {
        let sa0 = format.start(q, u, plane);
        let sb0 = sa0;
        let sa1 = format.start(q + token, u, plane);
        let sb1 = sa1;
        let sa2 = format.start(q + 2 * token, u, plane);
        let sb2 = sa2;
        let sa3 = format.start(q + 3 * token, u, plane);
        let sb3 = sa3;
        for (const end = codes + format.unit() * COLUMN_BYTES; codes < end; codes += STEP_BYTES, a += 4) {
          const wa = v128.load(codes);
          const wb = v128.load(codes, 16);
          const x0 = v128.load32_splat(a);
          sa0 = dotStep(sa0, x0, wa);
          sb0 = dotStep(sb0, x0, wb);
          const x1 = v128.load32_splat(a + token);
          sa1 = dotStep(sa1, x1, wa);
          sb1 = dotStep(sb1, x1, wb);
          const x2 = v128.load32_splat(a + 2 * token);
          sa2 = dotStep(sa2, x2, wa);
          sb2 = dotStep(sb2, x2, wb);
          const x3 = v128.load32_splat(a + 3 * token);
          sa3 = dotStep(sa3, x3, wa);
          sb3 = dotStep(sb3, x3, wb);
        }
        const scales = unitScales<P>(record, u, plane);
        const pa = factorsLow(scales);
        const pb = factorsHigh(scales);
        ta0 = addFactored(ta0, sa0, pa);
        tb0 = addFactored(tb0, sb0, pb);
        ta1 = addFactored(ta1, sa1, pa);
        tb1 = addFactored(tb1, sb1, pb);
        ta2 = addFactored(ta2, sa2, pa);
        tb2 = addFactored(tb2, sb2, pb);
        ta3 = addFactored(ta3, sa3, pa);
        tb3 = addFactored(tb3, sb3, pb);
      }
    }
    const da = format.d(record, 0);
    const db = format.d(record, 1);
    const x0 = scaleOfBlock<P>(q);
    const x1 = scaleOfBlock<P>(q + token);
    const x2 = scaleOfBlock<P>(q + 2 * token);
    const x3 = scaleOfBlock<P>(q + 3 * token);
    a0 = addTotal(a0, da, x0, ta0);
    b0 = addTotal(b0, db, x0, tb0);
    a1 = addTotal(a1, da, x1, ta1);
    b1 = addTotal(b1, db, x1, tb1);
    a2 = addTotal(a2, da, x2, ta2);
    b2 = addTotal(b2, db, x2, tb2);
    a3 = addTotal(a3, da, x3, ta3);
    b3 = addTotal(b3, db, x3, tb3);
    if (format.hasMins()) {
      const ma = format.dmin(record, 0);
      const mb = format.dmin(record, 1);
      a0 = subtractTotal(a0, ma, x0, format.minSums(record, q, 0));
      b0 = subtractTotal(b0, mb, x0, format.minSums(record, q, 1));
      a1 = subtractTotal(a1, ma, x1, format.minSums(record, q + token, 0));
      b1 = subtractTotal(b1, mb, x1, format.minSums(record, q + token, 1));
      a2 = subtractTotal(a2, ma, x2, format.minSums(record, q + 2 * token, 0));
      b2 = subtractTotal(b2, mb, x2, format.minSums(record, q + 2 * token, 1));
      a3 = subtractTotal(a3, ma, x3, format.minSums(record, q + 3 * token, 0));
      b3 = subtractTotal(b3, mb, x3, format.minSums(record, q + 3 * token, 1));
    }
  }
  storeLanes(y, a0, width);
  storeLanes(y + 16, b0, width - 4);
  storeLanes(y + yBytes, a1, width);
  storeLanes(y + yBytes + 16, b1, width - 4);
  storeLanes(y + 2 * yBytes, a2, width);
  storeLanes(y + 2 * yBytes + 16, b2, width - 4);
  storeLanes(y + 3 * yBytes, a3, width);
  storeLanes(y + 3 * yBytes + 16, b3, width - 4);
}
