import { exponentOf, pow2 } from '../core/bits.ts';
import { log } from '../core/math.ts';
import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE } from './block.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { FP4_DOUBLED, nearestFp4 } from './fp4.ts';
import { extremeIn, packBlocks } from './ggml_block.ts';

/**
 * mxfp4: 32 elements share one power of two; 17 bytes, 4.25 bits an element.
 *
 *   byte    0         1                      16
 *        [ e: u8 ][ c16 | c0 ] ... [ c31 | c15 ]        c: 0..15, high nibble | low        w[i] = 2^(e - 127) * fp4[c[i]]
 *
 * The values of fp4 are drawn in fp4.ts. e = 255 is 2^128 here, as in ggml; the OCP standard has NaN there.
 * Source: OCP Microscaling Formats (MX) v1.0, section 5.
 */
const { fround } = Math;

export const MXFP4 = plainFormat('mxfp4', false, readBlock);
const HALF = 16;
const CODES_AT = 1;
/** Of e; one more where values are doubled. */
const BIAS = 127;
/** floor(log2 of the largest fp4 value, 6). */
const FP4_MAX_EXPONENT = 2;
const LOG2_E = 1 / log(2);

/**
 * out[outOffset + i] = 2^(e - 127) * fp4[c[i]], exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackMXFP4(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(MXFP4, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: e - 127 = floor(log2 max|x|) - 2, codes are the nearest values.
 *
 * Below 2^-125 that exponent is negative and keeps its low byte, as in ggml: the scale becomes huge and all codes 0.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_mxfp4_ref of ggml, with the same bits.
 */
export function packMXFP4(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(MXFP4, packBlock, x, from, n, bytes, byteOffset);
}

/** The scale of the doubled values. */
const unitOf = (e: number): number => pow2(e - BIAS - 1);

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = unitOf(bytes[at]!);
  for (let i = 0; i < HALF; i++) {
    const pair = bytes[at + CODES_AT + i]!;
    block.codes[i] = FP4_DOUBLED[pair & 0x0f]!;
    block.codes[HALF + i] = FP4_DOUBLED[pair >>> 4]!;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const amax = Math.abs(extremeIn(x, from, BLOCK_SIZE));
  bytes[at] = amax > 0 ? floorLog2(amax) - FP4_MAX_EXPONENT + BIAS : 0; // the low byte
  const unit = unitOf(bytes[at]!);
  for (let i = 0; i < HALF; i++) {
    bytes[at + CODES_AT + i] = nearestFp4(x[from + i]!, unit) | (nearestFp4(x[from + HALF + i]!, unit) << 4);
  }
}

/**
 * floor of log2 x rounded to f32, x > 0. The rounding counts: just below a power of two from 8 on it reaches the next integer,
 * which is how ggml's floorf(log2f(x)) comes out.
 */
function floorLog2(x: number): number {
  const e = exponentOf(x); // f32 subnormals are normal f64
  return Math.floor(fround(e + log(x * pow2(-e)) * LOG2_E));
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: amax lies from 4 up to 8 units of fp4, whose
 * values end with 4, 6: 2 units at most, and a quarter of amax at most. Below 2^-125, all of x.
 */
export function worstCaseErrorMXFP4(amax: number): number {
  return amax < 2 ** -125 ? amax : (amax / 4) * (1 + gamma(4));
}
