import { roundTiesAway } from '../core/rounding.ts';
import { gamma } from '../core/sum.ts';
import { F16_SCALE_LIMIT, scaleError } from './block.ts';
import { blockLayout, extremeIn, packBlocks, readF16, readI8, unpackBlocks, writeF16 } from './ggml_block.ts';

/**
 * q8_1: 32 elements share one scale, and the block also carries its sum; 36 bytes, 9 bits an element.
 *
 *   byte   0    1    2    3     4     5           35
 *        [ d: f16 ][ s: f16 ][ c0 ][ c1 ] ... [ c31 ]        c: i8        w[i] = d * c[i]        s = d * sum of c
 *
 * ggml's intermediate form of activations, whose dot products with q4_1 and q5_1 need s. No file of weights is known to hold
 * it, and ggml has no dequantizer for it; its values are those of q8_0, and s says nothing new.
 */
const { fround } = Math;

const Q8_1_BLOCK = blockLayout('q8_1');
const CODES_AT = 4;
const MAX_CODE = 127;

/**
 * out[outOffset + i] = fround(d * c[i]) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ8_1(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(Q8_1_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d = fround(max|x| / 127), c = round(fround(x * fround(1 / d))), ties away from
 * zero, s = fround(d * sum of c); d and s are then stored as f16. Where 1 / d overflows, all codes are 0.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q8_1_ref of ggml, with the same bits.
 */
export function packQ8_1(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q8_1_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at);
  for (let i = 0; i < Q8_1_BLOCK.blockSize; i++) out[to + i] = d * readI8(bytes, at + CODES_AT + i);
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const d = fround(Math.abs(extremeIn(x, from, Q8_1_BLOCK.blockSize)) / MAX_CODE);
  const inverse = fround(1 / d);
  const usable = Number.isFinite(inverse);
  let sum = 0;
  for (let i = 0; i < Q8_1_BLOCK.blockSize; i++) {
    const code = usable ? roundTiesAway(fround(x[from + i]! * inverse)) : 0;
    bytes[at + CODES_AT + i] = code;
    sum += code;
  }
  writeF16(bytes, at, d);
  writeF16(bytes, at + 2, fround(sum * d));
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: as in q8_0, half a step, three f32 roundings of
 * a quotient up to 127, and 127 times the error of the scale in f16. Infinity where the scale overflows f16.
 */
export function worstCaseErrorQ8_1(amax: number): number {
  const d = amax / MAX_CODE;
  if (d * (1 + gamma(1)) >= F16_SCALE_LIMIT) return Infinity;
  return d * (0.5 + MAX_CODE * gamma(4)) + MAX_CODE * scaleError(d) * (1 + gamma(2));
}
