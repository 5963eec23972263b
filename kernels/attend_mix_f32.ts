// y[t, h, d] += sum_s p[h, t, s] * v[s, h / group, d], s rising over the positions that row t sees.
//                                                                              Twin: src/ops/attend_mix.ts
// Values lie [position][headDim]: lanes are head dims. y holds the sums between chunks of positions, which rounds nothing: a
// chunk of values stays in the first-level cache while all rows of the group walk over it, four rows at a time.
import { largest, smallest } from './lanes';

/** 64 positions x 64 head dims are 16 kB. */
const CHUNK_POSITIONS = 64;
/** Heads of at most so many dims are taken two positions at a time; two longer rows side by side were read much more slowly. */
const PAIRED_DIMS = 64;

/** See Kernels in src/exec/wasm/kernels.ts. Values and probabilities of positions that a row does not see are not read. */
export function attendMixF32(
  y: usize,
  yStride: i32,
  p: usize,
  sStride: i32,
  sHeadStride: i32,
  v: usize,
  vHeadStride: i32,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nTokens: i32,
  nKvHeads: i32,
  group: i32,
  headDim: i32,
  from: i32,
  nPositions: i32,
  accumulate: i32,
): void {
  const yBytes = (<usize>yStride) << 2;
  const sBytes = (<usize>sStride) << 2;
  const sHeadBytes = (<usize>sHeadStride) << 2;
  const headBytes = (<usize>headDim) << 2;
  if (!accumulate) {
    const nBytes = <usize>(nKvHeads * group) * headBytes;
    for (let t = 0; t < nTokens; t++) memory.fill(y + <usize>t * yBytes, 0, nBytes);
  }
  // The sinks, which every row sees as far as it is long, then the rest from each row's start on: always by rising positions.
  const nSinks = max(0, min(nPositions, sinks - from));
  const lowest = smallest(starts, nTokens) - from;
  const end = min(nPositions, largest(lengths, nTokens) - from);
  for (let kvHead = 0; kvHead < nKvHeads; kvHead++) {
    const h = kvHead * group;
    const yGroup = y + <usize>h * headBytes;
    const pGroup = p + <usize>h * sHeadBytes;
    for (let s = 0; s < end; ) {
      const isSink = s < nSinks;
      if (!isSink && s < lowest) {
        if (lowest >= end) break;
        s = lowest; // nobody sees what lies before
      }
      const n = min(CHUNK_POSITIONS, (isSink ? min(nSinks, end) : end) - s);
      const chunk = v + <usize>kvHead * <usize>vHeadStride + <usize>s * headBytes;
      const first = from + s;
      const pChunk = pGroup + ((<usize>first) << 2);
      s += n;
      let t = 0;
      // Four tokens of one head, over what all four see; where they differ, each begins and ends alone.
      for (; t + 4 <= nTokens; t += 4) {
        const at = (<usize>t) << 2;
        const begin = isSink ? 0 : max(0, largest4(starts + at) - first);
        const shared = max(begin, min(n, smallest4(lengths + at) - first));
        for (let g = 0; g < group; g++) {
          const yt = yGroup + <usize>t * yBytes + <usize>g * headBytes;
          const pt = pChunk + <usize>g * sHeadBytes + <usize>t * sBytes;
          if (begin > 0) {
            for (let i = 0; i < 4; i++) {
              const own = max(0, load<i32>(starts + at + ((<usize>i) << 2)) - first);
              const until = min(begin, min(n, load<i32>(lengths + at + ((<usize>i) << 2)) - first));
              rowFrom(yt + <usize>i * yBytes, pt + <usize>i * sBytes, chunk, headDim, own, until);
            }
          }
          const there = (<usize>begin) << 2;
          if (shared > begin)
            rows4(yt, yBytes, pt + there, sBytes, chunk + there * <usize>headDim, headDim, shared - begin);
          for (let i = 0; i < 4; i++) {
            const until = min(n, load<i32>(lengths + at + ((<usize>i) << 2)) - first);
            rowFrom(yt + <usize>i * yBytes, pt + <usize>i * sBytes, chunk, headDim, shared, until);
          }
        }
      }
      // The last tokens, in decoding the only one: the rows are heads, which see the same positions.
      for (; t < nTokens; t++) {
        const at = (<usize>t) << 2;
        const begin = isSink ? 0 : max(0, load<i32>(starts + at) - first);
        const count = min(n, load<i32>(lengths + at) - first) - begin;
        if (count <= 0) continue;
        const there = (<usize>begin) << 2;
        const pt = pChunk + <usize>t * sBytes + there;
        headsOfToken(yGroup + <usize>t * yBytes, pt, sHeadBytes, chunk + there * <usize>headDim, headDim, group, count);
      }
    }
  }
}

function smallest4(at: usize): i32 {
  return min(min(load<i32>(at), load<i32>(at, 4)), min(load<i32>(at, 8), load<i32>(at, 12)));
}

function largest4(at: usize): i32 {
  return max(max(load<i32>(at), load<i32>(at, 4)), max(load<i32>(at, 8), load<i32>(at, 12)));
}

/** One row over positions from .. until - 1 of a chunk. */
function rowFrom(y: usize, p: usize, chunk: usize, headDim: i32, from: i32, until: i32): void {
  if (from >= until) return;
  const headBytes = (<usize>headDim) << 2;
  row1(y, p + ((<usize>from) << 2), chunk + <usize>from * headBytes, headBytes, headDim, until - from);
}

/** Four rows of y and p, yBytes and pBytes apart, over n positions. */
function rows4(y: usize, yBytes: usize, p: usize, pBytes: usize, v: usize, headDim: i32, n: i32): void {
  const headBytes = (<usize>headDim) << 2;
  let d = headDim;
  for (; d >= 8; d -= 8, y += 32, v += 32) tile4x8(y, yBytes, p, pBytes, v, headBytes, n);
  if (d > 0) {
    for (let i: usize = 0; i < 4; i++) row1(y + i * yBytes, p + i * pBytes, v, headBytes, d, n);
  }
}

/** Four rows x 8 head dims: eight sums, two vectors of values, one probability. */
function tile4x8(y0: usize, yBytes: usize, p0: usize, pBytes: usize, v: usize, vBytes: usize, n: i32): void {
  const y1 = y0 + yBytes;
  const y2 = y1 + yBytes;
  const y3 = y2 + yBytes;
  let p1 = p0 + pBytes;
  let p2 = p1 + pBytes;
  let p3 = p2 + pBytes;
  let a0 = v128.load(y0);
  let a1 = v128.load(y0, 16);
  let b0 = v128.load(y1);
  let b1 = v128.load(y1, 16);
  let c0 = v128.load(y2);
  let c1 = v128.load(y2, 16);
  let d0 = v128.load(y3);
  let d1 = v128.load(y3, 16);
  const end = p0 + ((<usize>n) << 2);
  for (; p0 < end; p0 += 4) {
    const v0 = v128.load(v);
    const v1 = v128.load(v, 16);
    const pa = v128.load32_splat(p0);
    a0 = f32x4.add(a0, f32x4.mul(pa, v0));
    a1 = f32x4.add(a1, f32x4.mul(pa, v1));
    const pb = v128.load32_splat(p1);
    b0 = f32x4.add(b0, f32x4.mul(pb, v0));
    b1 = f32x4.add(b1, f32x4.mul(pb, v1));
    const pc = v128.load32_splat(p2);
    c0 = f32x4.add(c0, f32x4.mul(pc, v0));
    c1 = f32x4.add(c1, f32x4.mul(pc, v1));
    const pd = v128.load32_splat(p3);
    d0 = f32x4.add(d0, f32x4.mul(pd, v0));
    d1 = f32x4.add(d1, f32x4.mul(pd, v1));
    p1 += 4;
    p2 += 4;
    p3 += 4;
    v += vBytes;
  }
  v128.store(y0, a0);
  v128.store(y0, a1, 16);
  v128.store(y1, b0);
  v128.store(y1, b1, 16);
  v128.store(y2, c0);
  v128.store(y2, c1, 16);
  v128.store(y3, d0);
  v128.store(y3, d1, 16);
}

/** One row x nDims head dims, 4 at a time, then 1: what tiles leave. */
function row1(y: usize, p: usize, v: usize, vBytes: usize, nDims: i32, n: i32): void {
  const end = p + ((<usize>n) << 2);
  for (; nDims >= 4; nDims -= 4, y += 16, v += 16) {
    let a = v128.load(y);
    let vs = v;
    for (let ps = p; ps < end; ps += 4, vs += vBytes) {
      a = f32x4.add(a, f32x4.mul(v128.load32_splat(ps), v128.load(vs)));
    }
    v128.store(y, a);
  }
  for (; nDims > 0; nDims--, y += 4, v += 4) {
    let a = load<f32>(y);
    let vs = v;
    for (let ps = p; ps < end; ps += 4, vs += vBytes) a += load<f32>(ps) * load<f32>(vs);
    store<f32>(y, a);
  }
}

/**
 * nRows heads of one token over n positions. With so few rows, reading the values takes the time: they are read in the order
 * in which they lie, twice as fast as by columns when they come from memory, and the sums stay in y.
 */
function headsOfToken(y: usize, p: usize, pBytes: usize, v: usize, headDim: i32, nRows: i32, n: i32): void {
  const vBytes = (<usize>headDim) << 2;
  const simdBytes = vBytes & ~15;
  const nPaired = headDim <= PAIRED_DIMS ? n & ~1 : 0;
  let vs = v;
  for (let s = 0; s < nPaired; s += 2, vs += vBytes << 1) {
    let yr = y;
    let pr = p + ((<usize>s) << 2);
    let left = nRows;
    for (; left >= 4; left -= 4, yr += vBytes << 2, pr += pBytes << 2) rows4x2(yr, pr, pBytes, vs, vBytes, simdBytes);
    if (left === 3) rows3x2(yr, pr, pBytes, vs, vBytes, simdBytes);
    else for (; left > 0; left--, yr += vBytes, pr += pBytes) row1x2(yr, pr, vs, vBytes, simdBytes);
  }
  for (let s = nPaired; s < n; s++, vs += vBytes) {
    let yr = y;
    let pr = p + ((<usize>s) << 2);
    let left = nRows;
    for (; left >= 4; left -= 4, yr += vBytes << 2, pr += pBytes << 2) rows4x1(yr, pr, pBytes, vs, vBytes, simdBytes);
    for (; left > 0; left--, yr += vBytes, pr += pBytes) row1x1(yr, pr, vs, simdBytes);
  }
  if (headDim & 3) {
    for (let i: usize = 0; i < <usize>nRows; i++) {
      row1(y + i * vBytes + simdBytes, p + i * pBytes, v + simdBytes, vBytes, headDim & 3, n);
    }
  }
}

/** Four rows, vBytes and pBytes apart, over two positions; simdBytes of head dims, one vector after the other. */
function rows4x2(y0: usize, p0: usize, pBytes: usize, v: usize, vBytes: usize, simdBytes: usize): void {
  const p2 = p0 + (pBytes << 1);
  const a0 = v128.load32_splat(p0);
  const a1 = v128.load32_splat(p0, 4);
  const b0 = v128.load32_splat(p0 + pBytes);
  const b1 = v128.load32_splat(p0 + pBytes, 4);
  const c0 = v128.load32_splat(p2);
  const c1 = v128.load32_splat(p2, 4);
  const d0 = v128.load32_splat(p2 + pBytes);
  const d1 = v128.load32_splat(p2 + pBytes, 4);
  const y1 = y0 + vBytes;
  const y2 = y1 + vBytes;
  const y3 = y2 + vBytes;
  const w = v + vBytes;
  for (let i: usize = 0; i < simdBytes; i += 16) {
    const v0 = v128.load(v + i);
    const v1 = v128.load(w + i);
    v128.store(y0 + i, f32x4.add(f32x4.add(v128.load(y0 + i), f32x4.mul(a0, v0)), f32x4.mul(a1, v1)));
    v128.store(y1 + i, f32x4.add(f32x4.add(v128.load(y1 + i), f32x4.mul(b0, v0)), f32x4.mul(b1, v1)));
    v128.store(y2 + i, f32x4.add(f32x4.add(v128.load(y2 + i), f32x4.mul(c0, v0)), f32x4.mul(c1, v1)));
    v128.store(y3 + i, f32x4.add(f32x4.add(v128.load(y3 + i), f32x4.mul(d0, v0)), f32x4.mul(d1, v1)));
  }
}

function rows3x2(y0: usize, p0: usize, pBytes: usize, v: usize, vBytes: usize, simdBytes: usize): void {
  const p2 = p0 + (pBytes << 1);
  const a0 = v128.load32_splat(p0);
  const a1 = v128.load32_splat(p0, 4);
  const b0 = v128.load32_splat(p0 + pBytes);
  const b1 = v128.load32_splat(p0 + pBytes, 4);
  const c0 = v128.load32_splat(p2);
  const c1 = v128.load32_splat(p2, 4);
  const y1 = y0 + vBytes;
  const y2 = y1 + vBytes;
  const w = v + vBytes;
  for (let i: usize = 0; i < simdBytes; i += 16) {
    const v0 = v128.load(v + i);
    const v1 = v128.load(w + i);
    v128.store(y0 + i, f32x4.add(f32x4.add(v128.load(y0 + i), f32x4.mul(a0, v0)), f32x4.mul(a1, v1)));
    v128.store(y1 + i, f32x4.add(f32x4.add(v128.load(y1 + i), f32x4.mul(b0, v0)), f32x4.mul(b1, v1)));
    v128.store(y2 + i, f32x4.add(f32x4.add(v128.load(y2 + i), f32x4.mul(c0, v0)), f32x4.mul(c1, v1)));
  }
}

function row1x2(y: usize, p: usize, v: usize, vBytes: usize, simdBytes: usize): void {
  const p0 = v128.load32_splat(p);
  const p1 = v128.load32_splat(p, 4);
  const w = v + vBytes;
  for (let i: usize = 0; i < simdBytes; i += 16) {
    const a = f32x4.add(v128.load(y + i), f32x4.mul(p0, v128.load(v + i)));
    v128.store(y + i, f32x4.add(a, f32x4.mul(p1, v128.load(w + i))));
  }
}

/** Four rows over one position. */
function rows4x1(y0: usize, p0: usize, pBytes: usize, v: usize, vBytes: usize, simdBytes: usize): void {
  const p2 = p0 + (pBytes << 1);
  const a = v128.load32_splat(p0);
  const b = v128.load32_splat(p0 + pBytes);
  const c = v128.load32_splat(p2);
  const d = v128.load32_splat(p2 + pBytes);
  const y1 = y0 + vBytes;
  const y2 = y1 + vBytes;
  const y3 = y2 + vBytes;
  for (let i: usize = 0; i < simdBytes; i += 16) {
    const x = v128.load(v + i);
    v128.store(y0 + i, f32x4.add(v128.load(y0 + i), f32x4.mul(a, x)));
    v128.store(y1 + i, f32x4.add(v128.load(y1 + i), f32x4.mul(b, x)));
    v128.store(y2 + i, f32x4.add(v128.load(y2 + i), f32x4.mul(c, x)));
    v128.store(y3 + i, f32x4.add(v128.load(y3 + i), f32x4.mul(d, x)));
  }
}

function row1x1(y: usize, p: usize, v: usize, simdBytes: usize): void {
  const p4 = v128.load32_splat(p);
  for (let i: usize = 0; i < simdBytes; i += 16) {
    v128.store(y + i, f32x4.add(v128.load(y + i), f32x4.mul(p4, v128.load(v + i))));
  }
}
