import { exponentOf, pow2 } from '../core/bits.ts';
import { gamma } from '../core/sum.ts';
import { FP4_DOUBLED, FP4_HALF_STEP, FP4_MAX, nearestFp4 } from './fp4.ts';
import { blockLayout, extremeIn, packBlocks, unpackBlocks } from './ggml_block.ts';

/**
 * nvfp4: 64 elements in four sub-blocks of 16, each with an 8-bit float as scale; 36 bytes, 4.5 bits an element.
 *
 *   byte    0            3     4               35
 *        [ s0 ] ... [ s3 ][ codes: 4 x 8 bytes ]        w[i] = ue4m3[s[i / 16]] * fp4[c[i]]
 *
 *   codes: byte k of the j-th 8 holds c[16 j + k] (low nibble) and c[16 j + 8 + k] (high nibble). fp4 is drawn in fp4.ts.
 *
 *   ue4m3: . eeee fff    bias 7, no sign: 2^(e - 7) * 1.fff, e = 0: 2^-6 * 0.fff.  0x7f means 0.  Bit 7 is ignored, except
 *   that 0xff is not 0 but 480. (Ordinary E4M3 has NaN at both.)
 *
 * A file that has such weights usually has one more f32 scale for the whole tensor, in a tensor of its own.
 */
const { fround } = Math;

const NVFP4_BLOCK = blockLayout('nvfp4');
const CODES_AT = 4;
const SUB_BLOCK = 16;
const HALF = 8;
const N_SUB = 4;

const BIAS = 7;
const MAX_FRACTION = 7;
const ZERO_AS_WELL = 0x7f;
/** The largest scale that is packed, 448; codes from 15 << 3 on are not used otherwise. */
const LARGEST = 0x7e;
const LARGEST_SCALE = 448;
const UNUSED_FROM = 0x78;
/** From here on scales round up to what would be code 0x78. */
const UNUSED_SCALE = 248;
/** The step of subnormal scales. */
const SMALLEST = 2 ** -9;

/**
 * out[outOffset + i] = scale * fp4[c[i]], exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 64 or a buffer is too short.
 */
export function unpackNVFP4(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(NVFP4_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: s = max|x| / 6 of the sub-block, rounded half up to ue4m3; codes are the nearest
 * values. From 248 on s becomes 448, and larger elements are cut to 6 * 448.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_nvfp4_ref of ggml, with the same bits.
 */
export function packNVFP4(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(NVFP4_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

/** Half the scale of code s, since fp4 values are doubled. */
function unitOf(s: number): number {
  if (s === ZERO_AS_WELL) return 0;
  const e = (s >>> 3) & 0x0f;
  const f = s & 7;
  return e === 0 ? f * (SMALLEST / 2) : (8 + f) * pow2(e - BIAS - 4);
}

/** The code of a scale x >= 0. */
function scaleCode(x: number): number {
  const e = exponentOf(x);
  if (e + BIAS <= 0) return Math.min(MAX_FRACTION, Math.trunc(fround(fround(x / SMALLEST) + 0.5)));
  const eighths = Math.floor(x * pow2(3 - e) + 0.5); // 8..16; 16 carries into the exponent below
  const code = ((e + BIAS) << 3) + eighths - 8;
  return code < UNUSED_FROM ? code : LARGEST;
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  for (let j = 0; j < N_SUB; j++) {
    const unit = unitOf(bytes[at + j]!);
    for (let k = 0; k < HALF; k++) {
      const pair = bytes[at + CODES_AT + HALF * j + k]!;
      out[to + SUB_BLOCK * j + k] = unit * FP4_DOUBLED[pair & 0x0f]!;
      out[to + SUB_BLOCK * j + HALF + k] = unit * FP4_DOUBLED[pair >>> 4]!;
    }
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  for (let j = 0; j < N_SUB; j++) {
    const first = from + SUB_BLOCK * j;
    const s = scaleCode(fround(Math.abs(extremeIn(x, first, SUB_BLOCK)) / FP4_MAX));
    const unit = unitOf(s);
    bytes[at + j] = s;
    for (let k = 0; k < HALF; k++) {
      bytes[at + CODES_AT + HALF * j + k] =
        nearestFp4(x[first + k]!, unit) | (nearestFp4(x[first + HALF + k]!, unit) << 4);
    }
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: half the widest step of fp4, at a scale that is off
 * by a 16th or by one subnormal step; or what lies beyond 6 of a scale that came out smaller.
 */
export function worstCaseErrorNVFP4(amax: number): number {
  const s = amax / FP4_MAX;
  if (s * (1 + gamma(1)) >= UNUSED_SCALE)
    return Math.max(LARGEST_SCALE * FP4_HALF_STEP, amax - LARGEST_SCALE * FP4_MAX) * (1 + gamma(2));
  const off = Math.max(s / 16, SMALLEST);
  return Math.max((s + off) * FP4_HALF_STEP, off * FP4_MAX) * (1 + gamma(4));
}
