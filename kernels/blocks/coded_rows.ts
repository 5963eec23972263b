// Rows of the cache as codes: where they lie (src/kvcache/coded_rows.ts has the drawing), and what the kernels of both formats share.
import { f16ToF32x4 } from '../lanes';

export const BLOCK_SIZE = 32;
const LANE_POSITIONS = 16;
/** Bytes of one head dim of a key's 16 positions in f32. */
const KEY_STEP: usize = 64;
const NAN_SCALE: i32 = 0x7e00;

/** Bytes of 16 positions of one kv head; nCodes: bytes of the codes of one block. */
function groupBytes(nBlocks: usize, nCodes: usize): usize {
  return <usize>LANE_POSITIONS * nBlocks * (nCodes + 2);
}

/** First code of a row's block, from the start of the stretch: a key's next code is 16 bytes further, a value's 1. */
export function codesAt(position: i32, block: usize, nBlocks: usize, nCodes: usize, isValue: i32): usize {
  const lane = <usize>(position % LANE_POSITIONS);
  const group = <usize>(position / LANE_POSITIONS) * groupBytes(nBlocks, nCodes);
  return group + (isValue ? (lane * nBlocks + block) * nCodes : block * nCodes * <usize>LANE_POSITIONS + lane);
}

/** The block's scale. */
export function scaleAt(position: i32, block: usize, nBlocks: usize, nCodes: usize, isValue: i32): usize {
  const lane = <usize>(position % LANE_POSITIONS);
  const group = <usize>(position / LANE_POSITIONS) * groupBytes(nBlocks, nCodes);
  const scales = group + <usize>LANE_POSITIONS * nBlocks * nCodes;
  return scales + ((isValue ? lane * nBlocks + block : block * <usize>LANE_POSITIONS + lane) << 1);
}

/** Stores 16 codes, `step` bytes apart: 1 or 16. */
export function storeCodes(to: usize, codes: v128, step: usize): void {
  if (step === 1) {
    v128.store(to, codes);
    return;
  }
  v128.store8_lane(to, codes, 0);
  v128.store8_lane(to, codes, 1, 16);
  v128.store8_lane(to, codes, 2, 32);
  v128.store8_lane(to, codes, 3, 48);
  v128.store8_lane(to, codes, 4, 64);
  v128.store8_lane(to, codes, 5, 80);
  v128.store8_lane(to, codes, 6, 96);
  v128.store8_lane(to, codes, 7, 112);
  v128.store8_lane(to, codes, 8, 128);
  v128.store8_lane(to, codes, 9, 144);
  v128.store8_lane(to, codes, 10, 160);
  v128.store8_lane(to, codes, 11, 176);
  v128.store8_lane(to, codes, 12, 192);
  v128.store8_lane(to, codes, 13, 208);
  v128.store8_lane(to, codes, 14, 224);
  v128.store8_lane(to, codes, 15, 240);
}

/** Largest magnitude of 32 floats; not below Infinity (or NaN) where one of them is not finite. */
export function largestMagnitude(x: usize): f32 {
  let lanes = f32x4.abs(v128.load(x));
  for (let i: usize = 16; i < 4 * BLOCK_SIZE; i += 16) lanes = f32x4.max(lanes, f32x4.abs(v128.load(x + i)));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 2, 3, 0, 1));
  lanes = f32x4.max(lanes, v128.shuffle<f32>(lanes, lanes, 1, 0, 3, 2));
  return f32x4.extract_lane(lanes, 0);
}

/** The scale of a block that is not finite, and codes 0. */
export function storeNaN(codes: usize, nCodes: i32, step: usize, scale: usize): void {
  store<u16>(scale, <u16>NAN_SCALE);
  storeZeros(codes, nCodes, step);
}

export function storeZeros(codes: usize, nCodes: i32, step: usize): void {
  for (let i = 0; i < nCodes; i += 16) storeCodes(codes + <usize>i * step, i64x2.splat(0), step);
}

const F16_INFINITY: i32 = 0x7c00;
/** From here on the nearest f16 is an infinity; below the other one f16 counts in steps of 2^-24. */
const F16_OVERFLOW: f32 = 65520;
const F16_MIN_NORMAL: f32 = 0.00006103515625;
const F16_STEPS: f32 = 16777216;
/** (127 - 15) << 10: what a binary32 exponent has more than a binary16 one, behind the fraction's ten bits. */
const REBIAS: i32 = 114688;

/** The nearest f16 of a finite number, ties to even.    Twin: f32ToF16 in src/core/half.ts */
export function f32ToF16(x: f32): i32 {
  const bits = reinterpret<i32>(x);
  const sign = (bits >>> 16) & 0x8000;
  const a = Mathf.abs(x);
  if (a >= F16_OVERFLOW) return sign | F16_INFINITY;
  if (a < F16_MIN_NORMAL) return sign | <i32>nearest(a * F16_STEPS);
  const magnitude = bits & 0x7fffffff;
  return sign | (((magnitude + 0xfff + ((magnitude >>> 13) & 1)) >>> 13) - REBIAS);
}

/**
 * Unpacks nGroups x 16 positions of nKvHeads stretches, headStride bytes apart, to f32 as attention reads it: keys [16-block]
 * [headDim][16], values [position][headDim], yHeadStride bytes from head to head. nCodes: 32, or 16 with two codes in a byte.
 */
export function unpackRows(
  y: usize,
  yHeadStride: i32,
  from: usize,
  headStride: i32,
  nGroups: i32,
  nKvHeads: i32,
  headDim: i32,
  isValue: i32,
  nCodes: usize,
): void {
  const nBlocks = <usize>(headDim / BLOCK_SIZE);
  const step = groupBytes(nBlocks, nCodes);
  const scales = <usize>LANE_POSITIONS * nBlocks * nCodes;
  for (let h = 0; h < nKvHeads; h++, y += <usize>yHeadStride, from += <usize>headStride) {
    let to = y;
    let group = from;
    for (let g = 0; g < nGroups; g++, group += step, to += <usize>headDim * KEY_STEP) {
      if (isValue) unpackValues(to, group, group + scales, <usize>LANE_POSITIONS * nBlocks, nCodes);
      else unpackKeys(to, group, group + scales, nBlocks, nCodes);
    }
  }
}

/** Lanes are positions: four vectors of scales for all codes of a block. */
function unpackKeys(y: usize, codes: usize, scales: usize, nBlocks: usize, nCodes: usize): void {
  for (let b: usize = 0; b < nBlocks; b++, scales += 32, y += <usize>BLOCK_SIZE * KEY_STEP) {
    const s0 = f16ToF32x4(v128.load16x4_s(scales));
    const s1 = f16ToF32x4(v128.load16x4_s(scales, 8));
    const s2 = f16ToF32x4(v128.load16x4_s(scales, 16));
    const s3 = f16ToF32x4(v128.load16x4_s(scales, 24));
    for (let i: usize = 0; i < nCodes; i++, codes += 16) {
      const c = v128.load(codes);
      const to = y + i * KEY_STEP;
      if (nCodes === <usize>BLOCK_SIZE) store16(to, c, s0, s1, s2, s3);
      else {
        store16(to, lowCodes(c), s0, s1, s2, s3);
        store16(to + 16 * KEY_STEP, highCodes(c), s0, s1, s2, s3);
      }
    }
  }
}

/** Lanes are head dims: one scale for all of them. */
function unpackValues(y: usize, codes: usize, scales: usize, nBlocks: usize, nCodes: usize): void {
  for (let b: usize = 0; b < nBlocks; b++, scales += 2, y += (<usize>BLOCK_SIZE) << 2, codes += nCodes) {
    const s = f16ToF32x4(i32x4.splat(<i32>load<i16>(scales)));
    const c = v128.load(codes);
    if (nCodes === <usize>BLOCK_SIZE) {
      store16(y, c, s, s, s, s);
      store16(y + 64, v128.load(codes, 16), s, s, s, s);
    } else {
      store16(y, lowCodes(c), s, s, s, s);
      store16(y + 64, highCodes(c), s, s, s, s);
    }
  }
}

/** The code that means 0 where two codes share a byte. */
const ZERO_CODE: i8 = 8;

function lowCodes(pairs: v128): v128 {
  return i8x16.sub(v128.and(pairs, i8x16.splat(0x0f)), i8x16.splat(ZERO_CODE));
}

function highCodes(pairs: v128): v128 {
  return i8x16.sub(i8x16.shr_u(pairs, 4), i8x16.splat(ZERO_CODE));
}

/** y[i] = scale[i] * code[i], 16 of them. */
function store16(y: usize, codes: v128, s0: v128, s1: v128, s2: v128, s3: v128): void {
  const low = i16x8.extend_low_i8x16_s(codes);
  const high = i16x8.extend_high_i8x16_s(codes);
  v128.store(y, f32x4.mul(s0, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(low))));
  v128.store(y, f32x4.mul(s1, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(low))), 16);
  v128.store(y, f32x4.mul(s2, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_s(high))), 32);
  v128.store(y, f32x4.mul(s3, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_s(high))), 48);
}
