// Rows of f32 activations as blocks of 32 int8 codes with one f32 scale.    Twin: src/quant/activations.ts
//
// One block is a record: 32 codes, f32 scale, i32 sum of the codes. The relaxed build multiplies bytes, so its codes are i8 in
// their order (40 bytes). The other one multiplies pairs of i16, so it widens here, once for all rows of weights (72 bytes),
// and orders each four codes 0 2 1 3: the pairs that a shift by 8 takes out of four packed bytes.
//
// Tokens lie in groups of 8 (the last group may have fewer), [group][block][token of the group]: the tokens of a tile are
// neighbours.

export const BLOCK_SIZE = 32;
/** Tokens of one group. */
export const GROUP_TOKENS = 8;

const CODE_BYTES: usize = ASC_FEATURE_RELAXED_SIMD ? 32 : 64;
/** Where a record has its scale and its sum, and how long it is. */
export const SCALE_AT: usize = CODE_BYTES;
export const SUM_AT: usize = CODE_BYTES + 4;
export const ACTIVATION_BYTES: usize = CODE_BYTES + 8;

const MAX_CODE: f32 = 127;

/** See Kernels in src/exec/wasm/kernels.ts. */
export function quantizeRowsQ8(q: usize, x: usize, xStride: i32, nTokens: i32, nIn: i32): void {
  const nBlocks = nIn / BLOCK_SIZE;
  const xBytes = (<usize>xStride) << 2;
  for (let t = 0; t < nTokens; t += GROUP_TOKENS) {
    const n = min(GROUP_TOKENS, nTokens - t);
    const step = <usize>n * ACTIVATION_BYTES;
    for (let i = 0; i < n; i++, x += xBytes) {
      let record = q + <usize>i * ACTIVATION_BYTES;
      let from = x;
      for (let b = 0; b < nBlocks; b++, from += 4 * BLOCK_SIZE, record += step) quantizeBlock(record, from);
    }
    q += <usize>nBlocks * step;
  }
}

function quantizeBlock(record: usize, x: usize): void {
  // The largest magnitude; `max` keeps NaN.
  let lanes = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 4 * BLOCK_SIZE; i += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + i)));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 2, 3, 0, 1));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 1, 0, 3, 2));
  const amax = f32x4.extract_lane(lanes, 0);

  const d: f32 = amax < Infinity ? amax / MAX_CODE : NaN;
  let sums = i32x4.splat(0);
  if (d > 0) {
    const d4 = f32x4.splat(d);
    for (let i: usize = 0; i < <usize>BLOCK_SIZE; i += 16) {
      const first = codes8(x + (i << 2), d4);
      const last = codes8(x + (i << 2) + 32, d4);
      const ones = i16x8.splat(1);
      sums = i32x4.add(sums, i32x4.add(i32x4.dot_i16x8_s(first, ones), i32x4.dot_i16x8_s(last, ones)));
      if (ASC_FEATURE_RELAXED_SIMD) {
        v128.store(record + i, i8x16.narrow_i16x8_s(first, last));
      } else {
        v128.store(record + (i << 1), inPairs(first));
        v128.store(record + (i << 1), inPairs(last), 16);
      }
    }
  } else {
    memory.fill(record, 0, CODE_BYTES);
  }
  store<f32>(record, d, SCALE_AT);
  store<i32>(
    record,
    i32x4.extract_lane(sums, 0) +
      i32x4.extract_lane(sums, 1) +
      i32x4.extract_lane(sums, 2) +
      i32x4.extract_lane(sums, 3),
    SUM_AT,
  );
}

/** Eight codes as i16: clamp(nearest(x / d)), ties to even. */
function codes8(x: usize, d: v128): v128 {
  return i16x8.narrow_i32x4_s(codes4(v128.load(x), d), codes4(v128.load(x, 16), d));
}

function codes4(x: v128, d: v128): v128 {
  const nearest = f32x4.nearest(f32x4.div(x, d));
  const clamped = f32x4.min(f32x4.max(nearest, f32x4.splat(-MAX_CODE)), f32x4.splat(MAX_CODE));
  return i32x4.trunc_sat_f32x4_s(clamped);
}

/** 0 1 2 3 -> 0 2 1 3, and the same for the last four. */
function inPairs(codes: v128): v128 {
  return v128.shuffle<i16>(codes, codes, 0, 2, 1, 3, 4, 6, 5, 7);
}
