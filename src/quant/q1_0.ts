import { gamma } from '../core/sum.ts';
import { F16_SCALE_LIMIT, scaleError } from './block.ts';
import { blockLayout, packBlocks, readF16, unpackBlocks, writeF16 } from './ggml_block.ts';

/**
 * q1_0: 128 elements share one magnitude, each keeps its sign; 18 bytes, 1.125 bits an element.
 *
 *   byte   0    1      2                17
 *        [ d: f16 ][ c7..c0 ] ... [ c127..c120 ]        c: 1 bit        w[i] = c[i] ? d : -d
 */
const { fround } = Math;

const Q1_0_BLOCK = blockLayout('q1_0');
const CODES_AT = 2;

/**
 * out[outOffset + i] = c[i] ? d : -d for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 128 or a buffer is too short.
 */
export function unpackQ1_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(Q1_0_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d = mean of |x|, added up in order in f32; c = 1 where x >= 0, -0 included.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q1_0_ref of ggml, with the same bits.
 */
export function packQ1_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q1_0_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let i = 0; i < Q1_0_BLOCK.blockSize; i++) {
    out[to + i] = (bytes[at + CODES_AT + (i >> 3)]! >>> (i & 7)) & 1 ? d : -d;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  let sum = 0;
  for (let i = 0; i < Q1_0_BLOCK.blockSize; i++) {
    sum = fround(sum + Math.abs(x[from + i]!));
    if (x[from + i]! >= 0) bytes[at + CODES_AT + (i >> 3)]! |= 1 << (i & 7);
  }
  writeF16(bytes, at, sum / Q1_0_BLOCK.blockSize); // exact, or far below f16
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: all of it, where the others are near 0; and the
 * roundings of the mean, 127 of its sum and that of f16. Infinity where the mean may overflow f16.
 */
export function worstCaseErrorQ1_0(amax: number): number {
  const mean = amax * (1 + gamma(Q1_0_BLOCK.blockSize));
  return mean < F16_SCALE_LIMIT ? mean + scaleError(mean) : Infinity;
}
