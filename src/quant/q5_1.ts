import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE, F16_SCALE_LIMIT, scaleError } from './block.ts';
import { truncCode } from './c_rounding.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { maxIn, minIn, packBlocks, readF16, writeF16 } from './ggml_block.ts';

/**
 * q5_1: 32 elements share a scale and a minimum; 24 bytes, 6 bits an element.
 *
 *   byte   0    1    2    3       4            7              8                      23
 *        [ d: f16 ][ m: f16 ][ h7..h0 ] ... [ h31..h24 ][ l16 | l0 ] ... [ l31 | l15 ]
 *
 *        c[i] = h[i] * 16 + l[i]: 0..31        w[i] = d * c[i] + m
 *
 * m is the smallest element and d the range in 31 steps, as in q4_1.
 */
const { fround } = Math;

export const Q5_1 = plainFormat('q5_1', true, readBlock);
const HALF = 16;
const HIGH_AT = 4;
const LOW_AT = 8;
const MAX_CODE = 31;

/**
 * out[outOffset + i] = fround(d * c[i] + m) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ5_1(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q5_1, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: m = min x, d = (max x - m) / 31, c = floor((x - m) * fround(1 / d) + 0.5), each
 * step rounded to f32; d and m are then stored as f16, the codes stay those of the unrounded ones.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q5_1_ref of ggml, with the same bits.
 */
export function packQ5_1(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q5_1, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  block.dmin = -readF16(bytes, at + 2);
  for (let i = 0; i < BLOCK_SIZE; i++) {
    const low = (bytes[at + LOW_AT + (i & 15)]! >>> (i < HALF ? 0 : 4)) & 0x0f;
    const high = (bytes[at + HIGH_AT + (i >> 3)]! >>> (i & 7)) & 1;
    block.codes[i] = (high << 4) + low;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const m = minIn(x, from, BLOCK_SIZE);
  const d = fround(fround(maxIn(x, from, BLOCK_SIZE) - m) / MAX_CODE);
  const inverse = d === 0 ? 0 : fround(1 / d);
  writeF16(bytes, at, d);
  writeF16(bytes, at + 2, m);
  for (let i = 0; i < BLOCK_SIZE; i++) {
    const code = truncCode(fround(fround(fround(x[from + i]! - m) * inverse) + 0.5), MAX_CODE);
    bytes[at + LOW_AT + (i & 15)]! |= (code & 0x0f) << (i < HALF ? 0 : 4);
    bytes[at + HIGH_AT + (i >> 3)]! |= (code >>> 4) << (i & 7);
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax, so that its range is at most 2 amax:
 *   half a step; five f32 roundings of a quotient up to 31.5; 31 times the error of d in f16; that of m; the last sum.
 * Infinity where m or d overflows f16 (amax from 65,520 on).
 */
export function worstCaseErrorQ5_1(amax: number): number {
  if (amax >= F16_SCALE_LIMIT) return Infinity;
  const d = (2 * amax) / MAX_CODE;
  return (
    d * (0.5 + (MAX_CODE + 1) * gamma(5)) +
    MAX_CODE * scaleError(d) * (1 + gamma(2)) +
    scaleError(amax) * (1 + gamma(2)) +
    3 * amax * gamma(1)
  );
}
