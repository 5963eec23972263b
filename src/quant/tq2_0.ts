import { gamma } from '../core/sum.ts';
import { F16_SCALE_LIMIT, scaleError } from './block.ts';
import { blockLayout, packBlocks, readF16, SUPER_BLOCK_SIZE, unpackBlocks, writeF16 } from './ggml_block.ts';
import { ternaryCodes } from './ternary.ts';

/**
 * tq2_0: 256 elements share one scale, each is -1, 0 or 1 times it; 66 bytes, 2.0625 bits an element.
 *
 *   byte    0               63     64   65
 *        [ codes: 2 x 32 bytes ][ d: f16 ]
 *
 *   codes: byte k of the g-th 32 holds c[128 g + k], c[128 g + 32 + k], c[128 g + 64 + k], c[128 g + 96 + k], two bits each,
 *   the first in the lowest.
 *
 *        w[i] = d * (c[i] - 1)        c: 0..2; 3, for 2 d, is legal in a file and never written here
 */
const TQ2_0_BLOCK = blockLayout('tq2_0');
const D_AT = 64;

/**
 * out[outOffset + i] = d * (c[i] - 1), exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackTQ2_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(TQ2_0_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d and codes of `ternaryCodes`; d is then stored as f16.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_tq2_0_ref of ggml, with the same bits.
 */
export function packTQ2_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(TQ2_0_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

/** Where element i has its two bits: the byte, and how far up. */
const codeByte = (i: number): number => 32 * (i >> 7) + (i & 31);
const codeShift = (i: number): number => 2 * ((i >> 5) & 3);

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at + D_AT);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    out[to + i] = d * (((bytes[at + codeByte(i)]! >>> codeShift(i)) & 3) - 1);
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const { d, codes } = ternaryCodes(x, from);
  writeF16(bytes, at + D_AT, d);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) bytes[at + codeByte(i)]! |= codes[i]! << codeShift(i);
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: half of it, two f32 roundings of the quotient,
 * and the error of d in f16. Infinity where d overflows f16.
 */
export function worstCaseErrorTQ2_0(amax: number): number {
  return amax < F16_SCALE_LIMIT ? amax * (0.5 + gamma(3)) + scaleError(amax) : Infinity;
}
