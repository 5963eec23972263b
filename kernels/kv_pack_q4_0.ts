// Puts rows of keys or values into their cache as q4_0: a scale and 32 codes of four bits for 32 head dims.
//                                                                          Twin: src/kvcache/coded_rows.ts
import {
  BLOCK_SIZE,
  codesAt,
  f32ToF16,
  largestMagnitude,
  scaleAt,
  storeCodes,
  storeNaN,
  storeZeros,
} from './blocks/coded_rows';

/** Bytes of a block's codes: head dim i in the low half, i + 16 in the high one. */
const N_CODES = 16;
const ZERO_CODE: f32 = 8;
const MAX_CODE: i32 = 15;

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function kvPackQ40(
  to: usize,
  headStride: i32,
  position: i32,
  x: usize,
  xStride: i32,
  nTokens: i32,
  nKvHeads: i32,
  headDim: i32,
  isValue: i32,
): void {
  const nBlocks = <usize>(headDim / BLOCK_SIZE);
  const step: usize = isValue ? 1 : 16;
  for (let t = 0; t < nTokens; t++) {
    let from = x + <usize>t * ((<usize>xStride) << 2);
    let head = to;
    for (let h = 0; h < nKvHeads; h++, head += <usize>headStride) {
      for (let b: usize = 0; b < nBlocks; b++, from += (<usize>BLOCK_SIZE) << 2) {
        const codes = head + codesAt(position + t, b, nBlocks, N_CODES, isValue);
        packBlock(codes, step, head + scaleAt(position + t, b, nBlocks, N_CODES, isValue), from);
      }
    }
  }
}

/** d = extreme / -8, codes min(15, floor(x * (1 / d) + 8.5)); where 1 / d overflows they are 0. */
function packBlock(codes: usize, step: usize, scale: usize, x: usize): void {
  const most = largestMagnitude(x);
  if (!(most < Infinity)) {
    storeNaN(codes, N_CODES, step, scale);
    return;
  }
  const d = extreme(x, most) / -ZERO_CODE;
  const inverse: f32 = d === 0 ? 0 : 1 / d;
  store<u16>(scale, <u16>f32ToF16(d));
  if (!(Mathf.abs(inverse) < Infinity)) {
    storeZeros(codes, N_CODES, step);
    return;
  }
  const by = f32x4.splat(inverse);
  const low = code16(x, by);
  const high = code16(x + 64, by);
  storeCodes(codes, v128.or(low, i8x16.shl(high, 4)), step);
}

/** The first element of the largest magnitude, with its sign; +0 where all are zero. */
function extreme(x: usize, most: f32): f32 {
  if (most === 0) return 0;
  let at = x;
  while (Mathf.abs(load<f32>(at)) !== most) at += 4;
  return load<f32>(at);
}

function code16(x: usize, inverse: v128): v128 {
  const first = i16x8.narrow_i32x4_s(code4(x, inverse), code4(x + 16, inverse));
  const last = i16x8.narrow_i32x4_s(code4(x + 32, inverse), code4(x + 48, inverse));
  return i8x16.narrow_i16x8_u(first, last);
}

function code4(x: usize, inverse: v128): v128 {
  const shifted = f32x4.add(f32x4.mul(v128.load(x), inverse), f32x4.splat(8.5));
  return i32x4.min_s(i32x4.trunc_sat_f32x4_s(shifted), i32x4.splat(MAX_CODE));
}
