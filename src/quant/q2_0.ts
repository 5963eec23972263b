import { roundTiesAway } from '../core/rounding.ts';
import { gamma } from '../core/sum.ts';
import { F16_SCALE_LIMIT, scaleError } from './block.ts';
import { blockLayout, extremeIn, packBlocks, readF16, unpackBlocks, writeF16 } from './ggml_block.ts';

/**
 * q2_0: 64 elements share one scale; 18 bytes, 2.25 bits an element.
 *
 *   byte   0    1        2                         17
 *        [ d: f16 ][ c3 c2 c1 c0 ] ... [ c63 c62 c61 c60 ]        c: 0..3        w[i] = d * (c[i] - 1)
 *
 * Made for weights that are -d, 0 or d; code 3, 2 d, is legal in a file and never written here.
 */
const { fround } = Math;

const Q2_0_BLOCK = blockLayout('q2_0');
const CODES_AT = 2;
const ZERO_CODE = 1;

/**
 * out[outOffset + i] = d * (c[i] - 1), exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 64 or a buffer is too short.
 */
export function unpackQ2_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(Q2_0_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d = max|x|, c = 1 + round(x * fround(1 / d)), ties away from zero; d is then stored
 * as f16.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q2_0_ref of ggml, with the same bits.
 */
export function packQ2_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q2_0_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let i = 0; i < Q2_0_BLOCK.blockSize; i++) {
    out[to + i] = d * (((bytes[at + CODES_AT + (i >> 2)]! >>> (2 * (i & 3))) & 3) - ZERO_CODE);
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const d = Math.abs(extremeIn(x, from, Q2_0_BLOCK.blockSize));
  const inverse = d === 0 ? 0 : fround(1 / d);
  writeF16(bytes, at, d);
  for (let i = 0; i < Q2_0_BLOCK.blockSize; i++) {
    // An inverse that overflowed belongs to a d that is 0 in f16: any code means 0, and 0 is what C's conversion gives.
    const code = Number.isFinite(inverse) ? roundTiesAway(fround(x[from + i]! * inverse)) + ZERO_CODE : 0;
    bytes[at + CODES_AT + (i >> 2)]! |= code << (2 * (i & 3));
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: half of it, two f32 roundings of the quotient,
 * and the error of d in f16. Infinity where d overflows f16.
 */
export function worstCaseErrorQ2_0(amax: number): number {
  return amax < F16_SCALE_LIMIT ? amax * (0.5 + gamma(3)) + scaleError(amax) : Infinity;
}
