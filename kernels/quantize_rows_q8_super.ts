// Rows of f32 activations as blocks of 256 int8 codes with one f32 scale.    Twin: src/quant/activations.ts
// Layout: blocks/q8_super_record.ts
import { groupTokens } from './blocks/q8_record';
import {
  PAIR_SUMS_AT,
  SUMS_16_AT,
  SUMS_32_AT,
  SUPER_ACTIVATION_BYTES,
  SUPER_BLOCK,
  SUPER_SCALE_AT,
} from './blocks/q8_super_record';
import { codes8, inPairs, MAX_CODE } from './quantize_rows_q8';

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function quantizeRowsQ8Super(q: usize, x: usize, xStride: i32, nTokens: i32, nIn: i32): void {
  const nGrouped = groupTokens(nTokens);
  const groupBytes = (<usize>(nGrouped * xStride)) << 2;
  for (let t = 0; t < nTokens; t += nGrouped, x += groupBytes) {
    q = quantizeGroupSuper(q, x, xStride, min(nGrouped, nTokens - t), nGrouped, nIn);
  }
}

/** One group of nGrouped tokens, of which n are there. Gives the address behind it. */
export function quantizeGroupSuper(q: usize, x: usize, xStride: i32, n: i32, nGrouped: i32, nIn: i32): usize {
  const nBlocks = nIn / SUPER_BLOCK;
  const xBytes = (<usize>xStride) << 2;
  const step = <usize>nGrouped * SUPER_ACTIVATION_BYTES; // from a token's block to its next one
  const groupBytes = <usize>nBlocks * step;
  if (n < nGrouped) memory.fill(q, 0, groupBytes);
  for (let i = 0; i < n; i++, x += xBytes) {
    let record = q + <usize>i * SUPER_ACTIVATION_BYTES;
    let from = x;
    for (let b = 0; b < nBlocks; b++, from += 4 * SUPER_BLOCK, record += step) quantizeBlock(record, from);
  }
  return q + groupBytes;
}

function quantizeBlock(record: usize, x: usize): void {
  // The largest magnitude; `max` keeps NaN.
  let lanes = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 4 * SUPER_BLOCK; i += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + i)));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 2, 3, 0, 1));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 1, 0, 3, 2));
  const amax = f32x4.extract_lane(lanes, 0);

  const d: f32 = amax < Infinity ? amax / MAX_CODE : NaN;
  if (d > 0) {
    const d4 = f32x4.splat(d);
    for (let j: usize = 0; j < <usize>SUPER_BLOCK / 16; j++) quantize16(record, x + (j << 6), j, d4);
  } else {
    memory.fill(record, 0, SUPER_ACTIVATION_BYTES);
  }
  store<f32>(record, d, SUPER_SCALE_AT);
}

/** The j-th 16 columns, from x on. */
function quantize16(record: usize, x: usize, j: usize, d: v128): void {
  const first = codes8(x, d);
  const last = codes8(x + 32, d);
  if (ASC_FEATURE_RELAXED_SIMD) {
    v128.store(record + (j << 4), i8x16.narrow_i16x8_s(first, last));
  } else {
    v128.store(record + (j << 5), inPairs(first));
    v128.store(record + (j << 5), inPairs(last), 16);
  }
  // Sums of columns 0 + 1, 2 + 3, 4 + 5, 6 + 7 of each eight; then lanes 0 and 2, and 1 and 3, belong together.
  const ones = i16x8.splat(1);
  const pairs = i32x4.add(i32x4.dot_i16x8_s(first, ones), i32x4.dot_i16x8_s(last, ones));
  const low = i32x4.extract_lane(pairs, 0) + i32x4.extract_lane(pairs, 2);
  const high = i32x4.extract_lane(pairs, 1) + i32x4.extract_lane(pairs, 3);
  store<i16>(record + (j << 2), <i16>-low, PAIR_SUMS_AT);
  store<i16>(record + (j << 2), <i16>-high, PAIR_SUMS_AT + 2);
  store<i16>(record + (j << 1), <i16>(low + high), SUMS_16_AT);
  // The second half of 32 columns adds the first one's sum.
  const before: i32 = j & 1 ? load<i16>(record + (j << 1), SUMS_16_AT - 2) : 0;
  store<i16>(record + (j & ~1), <i16>(before + low + high), SUMS_32_AT);
}
