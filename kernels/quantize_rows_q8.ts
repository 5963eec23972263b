// Rows of f32 activations as blocks of 32 int8 codes with one f32 scale.    Twin: src/quant/activations.ts
// Layout: blocks/q8_record.ts
import {
  ACTIVATION_BYTES,
  BLOCK_SIZE,
  CODE_BYTES,
  groupTokens,
  NEGATIVES_AT,
  SCALE_AT,
  SUM_AT,
} from './blocks/q8_record';

export const MAX_CODE: f32 = 127;

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function quantizeRowsQ8(q: usize, x: usize, xStride: i32, nTokens: i32, nIn: i32): void {
  const nGrouped = groupTokens(nTokens);
  const groupBytes = (<usize>(nGrouped * xStride)) << 2;
  for (let t = 0; t < nTokens; t += nGrouped, x += groupBytes) {
    q = quantizeGroup(q, x, xStride, min(nGrouped, nTokens - t), nGrouped, nIn);
  }
}

/** One group of nGrouped tokens, of which n are there. Gives the address behind it. */
export function quantizeGroup(q: usize, x: usize, xStride: i32, n: i32, nGrouped: i32, nIn: i32): usize {
  const nBlocks = nIn / BLOCK_SIZE;
  const xBytes = (<usize>xStride) << 2;
  const step = <usize>nGrouped * ACTIVATION_BYTES; // from a token's block to its next one
  const groupBytes = <usize>nBlocks * step;
  if (n < nGrouped) memory.fill(q, 0, groupBytes);
  for (let i = 0; i < n; i++, x += xBytes) {
    let record = q + <usize>i * ACTIVATION_BYTES;
    let from = x;
    for (let b = 0; b < nBlocks; b++, from += 4 * BLOCK_SIZE, record += step) quantizeBlock(record, from);
  }
  return q + groupBytes;
}

function quantizeBlock(record: usize, x: usize): void {
  // The largest magnitude; `max` keeps NaN.
  let lanes = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 4 * BLOCK_SIZE; i += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + i)));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 2, 3, 0, 1));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 1, 0, 3, 2));
  const amax = f32x4.extract_lane(lanes, 0);

  const d: f32 = amax < Infinity ? amax / MAX_CODE : NaN;
  // Lane j of four: minus the sum of columns 2j and 2j + 1 of each eight.
  let sums = i32x4.splat(0);
  let negatives = i32x4.splat(0);
  if (d > 0) {
    const d4 = f32x4.splat(d);
    for (let i: usize = 0; i < <usize>BLOCK_SIZE; i += 16) {
      const first = codes8(x + (i << 2), d4);
      const last = codes8(x + (i << 2) + 32, d4);
      const minusOnes = i16x8.splat(-1);
      sums = i32x4.add(sums, i32x4.add(i32x4.dot_i16x8_s(first, minusOnes), i32x4.dot_i16x8_s(last, minusOnes)));
      if (ASC_FEATURE_RELAXED_SIMD) {
        v128.store(record + i, i8x16.narrow_i16x8_s(first, last));
        const zero = i16x8.splat(0);
        const below = i16x8.add(i16x8.min_s(first, zero), i16x8.min_s(last, zero));
        negatives = i32x4.add(negatives, i32x4.dot_i16x8_s(below, minusOnes));
      } else {
        v128.store(record + (i << 1), inPairs(first));
        v128.store(record + (i << 1), inPairs(last), 16);
      }
    }
  } else {
    memory.fill(record, 0, CODE_BYTES);
  }
  store<f32>(record, d, SCALE_AT);
  const columns01 = i32x4.extract_lane(sums, 0) + i32x4.extract_lane(sums, 2);
  const columns23 = i32x4.extract_lane(sums, 1) + i32x4.extract_lane(sums, 3);
  if (ASC_FEATURE_RELAXED_SIMD) {
    store<i16>(record, <i16>columns01, SUM_AT);
    store<i16>(record, <i16>columns23, SUM_AT + 2);
    store<i32>(record, addLanes(negatives), NEGATIVES_AT);
  } else {
    store<i32>(record, columns01 + columns23, SUM_AT);
  }
}

function addLanes(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + (i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3));
}

/** Eight codes as i16: clamp(nearest(x / d)), ties to even. */
export function codes8(x: usize, d: v128): v128 {
  return i16x8.narrow_i32x4_s(codes4(v128.load(x), d), codes4(v128.load(x, 16), d));
}

function codes4(x: v128, d: v128): v128 {
  const nearest = f32x4.nearest(f32x4.div(x, d));
  const clamped = f32x4.min(f32x4.max(nearest, f32x4.splat(-MAX_CODE)), f32x4.splat(MAX_CODE));
  return i32x4.trunc_sat_f32x4_s(clamped);
}

/** 0 1 2 3 -> 0 2 1 3, and the same for the last four. */
export function inPairs(codes: v128): v128 {
  return v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7);
}
