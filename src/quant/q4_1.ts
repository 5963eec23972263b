import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE, F16_SCALE_LIMIT, scaleError } from './block.ts';
import { truncCode } from './c_rounding.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { maxIn, minIn, packBlocks, readF16, writeF16 } from './ggml_block.ts';

/**
 * q4_1: 32 elements share a scale and a minimum; 20 bytes, 5 bits an element.
 *
 *   byte   0    1    2    3       4                      19
 *        [ d: f16 ][ m: f16 ][ c16 | c0 ] ... [ c31 | c15 ]        c: 0..15, high nibble | low        w[i] = d * c[i] + m
 *
 * m is the smallest element and d the range in 15 steps: good for weights that lie on one side of 0.
 */
const { fround } = Math;

export const Q4_1 = plainFormat('q4_1', true, readBlock);
const HALF = 16;
const CODES_AT = 4;
const MAX_CODE = 15;

/**
 * out[outOffset + i] = fround(d * c[i] + m) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ4_1(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q4_1, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: m = min x, d = (max x - m) / 15, c = floor((x - m) * fround(1 / d) + 0.5), each
 * step rounded to f32; d and m are then stored as f16, the codes stay those of the unrounded ones.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q4_1_ref of ggml, with the same bits.
 */
export function packQ4_1(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q4_1, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  block.dmin = -readF16(bytes, at + 2);
  for (let i = 0; i < HALF; i++) {
    const pair = bytes[at + CODES_AT + i]!;
    block.codes[i] = pair & 0x0f;
    block.codes[HALF + i] = pair >>> 4;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const m = minIn(x, from, BLOCK_SIZE);
  const d = fround(fround(maxIn(x, from, BLOCK_SIZE) - m) / MAX_CODE);
  const inverse = d === 0 ? 0 : fround(1 / d);
  const codeOf = (v: number): number => truncCode(fround(fround(fround(v - m) * inverse) + 0.5), MAX_CODE);

  writeF16(bytes, at, d);
  writeF16(bytes, at + 2, m);
  for (let i = 0; i < HALF; i++) {
    bytes[at + CODES_AT + i] = codeOf(x[from + i]!) | (codeOf(x[from + HALF + i]!) << 4);
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax, so that its range is at most 2 amax:
 *   half a step; five f32 roundings of a quotient up to 15.5; 15 times the error of d in f16; that of m; the last sum.
 * Infinity where m or d overflows f16 (amax from 65,520 on).
 */
export function worstCaseErrorQ4_1(amax: number): number {
  if (amax >= F16_SCALE_LIMIT) return Infinity;
  const d = (2 * amax) / MAX_CODE;
  return (
    d * (0.5 + (MAX_CODE + 1) * gamma(5)) +
    MAX_CODE * scaleError(d) * (1 + gamma(2)) +
    scaleError(amax) * (1 + gamma(2)) +
    3 * amax * gamma(1)
  );
}
