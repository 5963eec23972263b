// p[h, t, s] = exp(x[h, t, s] - max) / sum, over the positions that row t sees; p may be x.    Twin: src/ops/softmax.ts
import { addLanes, exp4, loadLanes, maxRow, storeLanes } from './lanes';

/** The rest of a row is not written, and nothing from its length on is read. */
export function softmaxF32(
  p: usize,
  x: usize,
  lengths: usize,
  starts: usize,
  sinks: i32,
  nHeads: i32,
  headStride: i32,
  nTokens: i32,
  stride: i32,
): void {
  for (let h = 0; h < nHeads; h++) {
    for (let t = 0; t < nTokens; t++) {
      const row = (<usize>h * <usize>headStride + <usize>t * <usize>stride) << 2;
      const at = (<usize>t) << 2;
      const start = load<i32>(starts + at);
      if (start > sinks) softmaxWindow(p + row, x + row, load<i32>(lengths + at), start, sinks);
      else softmaxRow(p + row, x + row, load<i32>(lengths + at));
    }
  }
}

/**
 * Maximum; exp and its sum; division: no running rescale, so that tiles and pages cannot show. The sum's lane j adds
 * elements j (mod 4). A NaN in the row needs no care in the maximum: it becomes a NaN exp, then a NaN sum.
 */
function softmaxRow(p: usize, x: usize, n: i32): void {
  const simdBytes = (<usize>(n & ~3)) << 2;
  const tail = n & 3;
  const max = f32x4.splat(maxRow(x, n));
  let lanes = f32x4.splat(0);
  let i: usize = 0;
  for (; i < simdBytes; i += 16) {
    const e = exp4(f32x4.sub(v128.load(x + i), max));
    v128.store(p + i, e);
    lanes = f32x4.add(lanes, e);
  }
  if (tail) {
    storeLanes(p + i, exp4(f32x4.sub(loadLanes(x + i, tail), max)), tail);
    lanes = f32x4.add(lanes, loadLanes(p + i, tail)); // the lanes behind the row as +0
  }

  const sum = f32x4.splat(addLanes(lanes));
  for (i = 0; i < simdBytes; i += 16) v128.store(p + i, f32x4.div(v128.load(p + i), sum));
  if (tail) storeLanes(p + i, f32x4.div(loadLanes(p + i, tail), sum), tail);
}

/** The same over two stretches, [0, sinks) and [start, n). */
function softmaxWindow(p: usize, x: usize, n: i32, start: i32, sinks: i32): void {
  const first = min(sinks, n);
  const last = max(start, n);
  const max4 = f32x4.splat(Mathf.max(maxRow(x, first), maxRow(x + ((<usize>start) << 2), last - start)));
  const lanes = expStretch(p, x, start, last, max4, expStretch(p, x, 0, first, max4, f32x4.splat(0)));
  const sum = f32x4.splat(addLanes(lanes));
  divideStretch(p, 0, first, sum);
  divideStretch(p, start, last, sum);
}

/**
 * p = exp(x - max) over [from, until), and `lanes` with it added: element i to lane i mod 4, so the groups of four start at
 * multiples of four. What lies before `from` in the first group is read, and counts as +0.
 */
function expStretch(p: usize, x: usize, from: i32, until: i32, max: v128, lanes: v128): v128 {
  for (let i = from & ~3; i < until; i += 4) {
    const at = (<usize>i) << 2;
    const n = until - i;
    const seen = v128.and(notBefore(from - i), before(n));
    const e = v128.and(exp4(f32x4.sub(loadLanes(x + at, n), max)), seen);
    storeLanes(p + at, v128.bitselect(e, loadLanes(p + at, n), seen), n);
    lanes = f32x4.add(lanes, e);
  }
  return lanes;
}

function divideStretch(p: usize, from: i32, until: i32, sum: v128): void {
  for (let i = from & ~3; i < until; i += 4) {
    const at = (<usize>i) << 2;
    const n = until - i;
    const old = loadLanes(p + at, n);
    storeLanes(p + at, v128.bitselect(f32x4.div(old, sum), old, notBefore(from - i)), n);
  }
}

/** All bits of the lanes from n on. */
function notBefore(n: i32): v128 {
  return i32x4.ge_s(i32x4(0, 1, 2, 3), i32x4.splat(n));
}

/** All bits of the first n lanes. */
function before(n: i32): v128 {
  return i32x4.lt_s(i32x4(0, 1, 2, 3), i32x4.splat(n));
}
