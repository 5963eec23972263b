// Puts rows of keys or values into their cache as q8_0: a scale and 32 codes for 32 head dims.    Twin: src/kvcache/coded_rows.ts
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

const MAX_CODE: f32 = 127;
const SIGN: i32 = 0x80000000;

/** See CoreKernels in src/exec/wasm/kernels.ts. */
export function kvPackQ80(
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
        const codes = head + codesAt(position + t, b, nBlocks, BLOCK_SIZE, isValue);
        packBlock(codes, step, head + scaleAt(position + t, b, nBlocks, BLOCK_SIZE, isValue), from);
      }
    }
  }
}

/** d = max|x| / 127, codes round(x * (1 / d)); where 1 / d overflows they are 0. */
function packBlock(codes: usize, step: usize, scale: usize, x: usize): void {
  const most = largestMagnitude(x);
  if (!(most < Infinity)) {
    storeNaN(codes, BLOCK_SIZE, step, scale);
    return;
  }
  const d = most / MAX_CODE;
  const inverse: f32 = 1 / d;
  store<u16>(scale, <u16>f32ToF16(d));
  if (!(inverse < Infinity)) {
    storeZeros(codes, BLOCK_SIZE, step);
    return;
  }
  const by = f32x4.splat(inverse);
  for (let i: usize = 0; i < <usize>BLOCK_SIZE; i += 16) {
    const at = x + (i << 2);
    const first = i16x8.narrow_i32x4_s(code4(at, by), code4(at + 16, by));
    const last = i16x8.narrow_i32x4_s(code4(at + 32, by), code4(at + 48, by));
    storeCodes(codes + i * step, i8x16.narrow_i16x8_s(first, last), step);
  }
}

/** Four codes: the nearest integers, ties away from zero. */
function code4(x: usize, inverse: v128): v128 {
  const q = f32x4.mul(v128.load(x), inverse);
  const a = f32x4.abs(q);
  const whole = f32x4.trunc(a);
  const isMore = f32x4.ge(f32x4.sub(a, whole), f32x4.splat(0.5));
  const rounded = f32x4.add(whole, v128.and(isMore, f32x4.splat(1)));
  return i32x4.trunc_sat_f32x4_s(v128.or(rounded, v128.and(q, i32x4.splat(SIGN))));
}
