// scores[h, t, s] = scale * sum_d q[t, h, d] * k[s, h / group, d], d rising, from +0; with a cap, cap * tanh(that / cap).
//                                                                              Twin: src/ops/attend_scores.ts
//
// Keys lie in blocks of 16 positions, [headDim][16]: lanes are positions. A block stays in the first-level cache while all
// rows (token x head of the group) that need it walk over it, four rows at a time. Blocks that no row sees are stepped over.
import { largest, smallest, softCap4 } from './lanes';

/** Positions of one block, and bytes of one element of its keys. */
const KEY_BLOCK = 16;
const KEY_STEP: usize = 64;
/** A tile takes half a block: 4 rows x 8 positions. */
const HALF_BLOCK: usize = 32;

/** See Kernels in src/exec/wasm/kernels.ts. Score rows are filled block by block: those that some row of a tile sees. */
export function attendScoresF32(
  scores: usize,
  sStride: i32,
  sHeadStride: i32,
  q: usize,
  qStride: i32,
  k: usize,
  kHeadStride: i32,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  nKvHeads: i32,
  group: i32,
  headDim: i32,
  from: i32,
  nPositions: i32,
  scale: f32,
  cap: f32,
): void {
  const sBytes = (<usize>sStride) << 2;
  const sHeadBytes = (<usize>sHeadStride) << 2;
  const qBytes = (<usize>qStride) << 2;
  const headBytes = (<usize>headDim) << 2;
  const blockBytes = <usize>headDim * KEY_STEP;
  // Behind the sinks nothing is seen before the first of all starts, nor from the last of all lengths on.
  const lowest = (smallest(starts, nTokens) - from) & ~(KEY_BLOCK - 1);
  const end = min(nPositions, largest(lengths, nTokens) - from);
  for (let kvHead = 0; kvHead < nKvHeads; kvHead++) {
    const h = kvHead * group;
    const qGroup = q + <usize>h * headBytes;
    const sGroup = scores + <usize>h * sHeadBytes;
    for (let s = 0; s < end; s += KEY_BLOCK) {
      if (from + s >= sinks && s < lowest) {
        if (lowest >= end) break;
        s = lowest;
      }
      const block = k + <usize>kvHead * <usize>kHeadStride + <usize>(s / KEY_BLOCK) * blockBytes;
      const at = sGroup + ((<usize>(from + s)) << 2);
      if (nTokens < 4) {
        // Few tokens: the four rows of a tile are heads.
        for (let t = 0; t < nTokens; t++) {
          if (!anySees(lengths, starts, sinks, t, 1, from + s)) continue;
          const qt = qGroup + <usize>t * qBytes;
          rowsOfBlock(at + <usize>t * sBytes, sHeadBytes, qt, headBytes, group, block, headDim, scale, cap);
        }
      } else {
        for (let t = 0; t < nTokens; t += 4) {
          const n = min(4, nTokens - t);
          if (!anySees(lengths, starts, sinks, t, n, from + s)) continue;
          for (let g = 0; g < group; g++) {
            const qt = qGroup + <usize>t * qBytes + <usize>g * headBytes;
            rowsOfBlock(
              at + <usize>g * sHeadBytes + <usize>t * sBytes,
              sBytes,
              qt,
              qBytes,
              n,
              block,
              headDim,
              scale,
              cap,
            );
          }
        }
      }
    }
  }
}

/** Whether one of the rows t .. t + n - 1 sees a position of the block that begins at s. */
export function anySees(lengths: usize, starts: usize, sinks: i32, t: i32, n: i32, s: i32): bool {
  for (let i = t; i < t + n; i++) {
    const at = (<usize>i) << 2;
    if (s < load<i32>(lengths + at) && (s < sinks || s + KEY_BLOCK > load<i32>(starts + at))) return true;
  }
  return false;
}

/** nRows rows of queries, qBytes apart, times one block; score rows are sBytes apart. */
function rowsOfBlock(
  scores: usize,
  sBytes: usize,
  q: usize,
  qBytes: usize,
  nRows: i32,
  block: usize,
  headDim: i32,
  scale: f32,
  cap: f32,
): void {
  const first = scores;
  const n = nRows;
  for (; nRows >= 4; nRows -= 4) {
    tile4x8(scores, sBytes, q, qBytes, block, headDim, scale);
    tile4x8(scores + HALF_BLOCK, sBytes, q, qBytes, block + HALF_BLOCK, headDim, scale);
    scores += sBytes << 2;
    q += qBytes << 2;
  }
  if (nRows === 3) {
    tile3x8(scores, sBytes, q, qBytes, block, headDim, scale);
    tile3x8(scores + HALF_BLOCK, sBytes, q, qBytes, block + HALF_BLOCK, headDim, scale);
  } else if (nRows === 2) tile2x16(scores, sBytes, q, qBytes, block, headDim, scale);
  else if (nRows === 1) row1x16(scores, q, block, headDim, scale);
  if (cap > 0) capRows(first, sBytes, n, cap);
}

/** Caps what was just written: nRows rows of one block. */
export function capRows(scores: usize, sBytes: usize, nRows: i32, cap: f32): void {
  const cap4 = f32x4.splat(cap);
  for (let i = 0; i < nRows; i++, scores += sBytes) {
    for (let at = scores; at < scores + KEY_STEP; at += 16) v128.store(at, softCap4(v128.load(at), cap4));
  }
}

function tile4x8(scores: usize, sBytes: usize, q0: usize, qBytes: usize, k: usize, headDim: i32, scale: f32): void {
  let q1 = q0 + qBytes;
  let q2 = q1 + qBytes;
  let q3 = q2 + qBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  let d0 = f32x4.splat(0);
  let d1 = f32x4.splat(0);
  const end = q0 + ((<usize>headDim) << 2);
  for (; q0 < end; q0 += 4) {
    const k0 = v128.load(k);
    const k1 = v128.load(k, 16);
    const qa = v128.load32_splat(q0);
    a0 = f32x4.add(a0, f32x4.mul(qa, k0));
    a1 = f32x4.add(a1, f32x4.mul(qa, k1));
    const qb = v128.load32_splat(q1);
    b0 = f32x4.add(b0, f32x4.mul(qb, k0));
    b1 = f32x4.add(b1, f32x4.mul(qb, k1));
    const qc = v128.load32_splat(q2);
    c0 = f32x4.add(c0, f32x4.mul(qc, k0));
    c1 = f32x4.add(c1, f32x4.mul(qc, k1));
    const qd = v128.load32_splat(q3);
    d0 = f32x4.add(d0, f32x4.mul(qd, k0));
    d1 = f32x4.add(d1, f32x4.mul(qd, k1));
    q1 += 4;
    q2 += 4;
    q3 += 4;
    k += KEY_STEP;
  }
  const by = f32x4.splat(scale);
  v128.store(scores, f32x4.mul(a0, by));
  v128.store(scores, f32x4.mul(a1, by), 16);
  scores += sBytes;
  v128.store(scores, f32x4.mul(b0, by));
  v128.store(scores, f32x4.mul(b1, by), 16);
  scores += sBytes;
  v128.store(scores, f32x4.mul(c0, by));
  v128.store(scores, f32x4.mul(c1, by), 16);
  scores += sBytes;
  v128.store(scores, f32x4.mul(d0, by));
  v128.store(scores, f32x4.mul(d1, by), 16);
}

function row1x16(scores: usize, q: usize, k: usize, headDim: i32, scale: f32): void {
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  const end = q + ((<usize>headDim) << 2);
  for (; q < end; q += 4) {
    const qd = v128.load32_splat(q);
    a0 = f32x4.add(a0, f32x4.mul(qd, v128.load(k)));
    a1 = f32x4.add(a1, f32x4.mul(qd, v128.load(k, 16)));
    a2 = f32x4.add(a2, f32x4.mul(qd, v128.load(k, 32)));
    a3 = f32x4.add(a3, f32x4.mul(qd, v128.load(k, 48)));
    k += KEY_STEP;
  }
  const by = f32x4.splat(scale);
  v128.store(scores, f32x4.mul(a0, by));
  v128.store(scores, f32x4.mul(a1, by), 16);
  v128.store(scores, f32x4.mul(a2, by), 32);
  v128.store(scores, f32x4.mul(a3, by), 48);
}

function tile3x8(scores: usize, sBytes: usize, q0: usize, qBytes: usize, k: usize, headDim: i32, scale: f32): void {
  let q1 = q0 + qBytes;
  let q2 = q1 + qBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let c0 = f32x4.splat(0);
  let c1 = f32x4.splat(0);
  const end = q0 + ((<usize>headDim) << 2);
  for (; q0 < end; q0 += 4) {
    const k0 = v128.load(k);
    const k1 = v128.load(k, 16);
    const qa = v128.load32_splat(q0);
    a0 = f32x4.add(a0, f32x4.mul(qa, k0));
    a1 = f32x4.add(a1, f32x4.mul(qa, k1));
    const qb = v128.load32_splat(q1);
    b0 = f32x4.add(b0, f32x4.mul(qb, k0));
    b1 = f32x4.add(b1, f32x4.mul(qb, k1));
    const qc = v128.load32_splat(q2);
    c0 = f32x4.add(c0, f32x4.mul(qc, k0));
    c1 = f32x4.add(c1, f32x4.mul(qc, k1));
    q1 += 4;
    q2 += 4;
    k += KEY_STEP;
  }
  const by = f32x4.splat(scale);
  v128.store(scores, f32x4.mul(a0, by));
  v128.store(scores, f32x4.mul(a1, by), 16);
  scores += sBytes;
  v128.store(scores, f32x4.mul(b0, by));
  v128.store(scores, f32x4.mul(b1, by), 16);
  scores += sBytes;
  v128.store(scores, f32x4.mul(c0, by));
  v128.store(scores, f32x4.mul(c1, by), 16);
}

function tile2x16(scores: usize, sBytes: usize, q0: usize, qBytes: usize, k: usize, headDim: i32, scale: f32): void {
  let q1 = q0 + qBytes;
  let a0 = f32x4.splat(0);
  let a1 = f32x4.splat(0);
  let a2 = f32x4.splat(0);
  let a3 = f32x4.splat(0);
  let b0 = f32x4.splat(0);
  let b1 = f32x4.splat(0);
  let b2 = f32x4.splat(0);
  let b3 = f32x4.splat(0);
  const end = q0 + ((<usize>headDim) << 2);
  for (; q0 < end; q0 += 4) {
    const qa = v128.load32_splat(q0);
    const qb = v128.load32_splat(q1);
    const k0 = v128.load(k);
    a0 = f32x4.add(a0, f32x4.mul(qa, k0));
    b0 = f32x4.add(b0, f32x4.mul(qb, k0));
    const k1 = v128.load(k, 16);
    a1 = f32x4.add(a1, f32x4.mul(qa, k1));
    b1 = f32x4.add(b1, f32x4.mul(qb, k1));
    const k2 = v128.load(k, 32);
    a2 = f32x4.add(a2, f32x4.mul(qa, k2));
    b2 = f32x4.add(b2, f32x4.mul(qb, k2));
    const k3 = v128.load(k, 48);
    a3 = f32x4.add(a3, f32x4.mul(qa, k3));
    b3 = f32x4.add(b3, f32x4.mul(qb, k3));
    q1 += 4;
    k += KEY_STEP;
  }
  const by = f32x4.splat(scale);
  v128.store(scores, f32x4.mul(a0, by));
  v128.store(scores, f32x4.mul(a1, by), 16);
  v128.store(scores, f32x4.mul(a2, by), 32);
  v128.store(scores, f32x4.mul(a3, by), 48);
  scores += sBytes;
  v128.store(scores, f32x4.mul(b0, by));
  v128.store(scores, f32x4.mul(b1, by), 16);
  v128.store(scores, f32x4.mul(b2, by), 32);
  v128.store(scores, f32x4.mul(b3, by), 48);
}
