import { gamma } from '../core/sum.ts';
import { nearestInt } from './c_rounding.ts';
import { blockLayout, extremeIn, packBlocks, readI8, SUPER_BLOCK_SIZE, unpackBlocks, writeU16 } from './ggml_block.ts';

/**
 * q8_k: 256 elements share one f32 scale, and the block carries the sums of its sixteens; 292 bytes, 9.125 bits an element.
 *
 *   byte   0      3    4     5          259    260  261         290  291
 *        [ d: f32 ][ c0 ][ c1 ] ... [ c255 ][ b0: i16 ] ... [ b15: i16 ]        c: i8        w[i] = d * c[i]
 *
 *        b[j] = c[16 j] + ... + c[16 j + 15]
 *
 * ggml's intermediate form of activations for dot products with the other super-block formats; b says nothing new.
 */
const { fround } = Math;

const Q8_K_BLOCK = blockLayout('q8_k');
const CODES_AT = 4;
const SUMS_AT = 260;
const SUM_OF = 16;
const MAX_CODE = 127;

/**
 * out[outOffset + i] = fround(d * c[i]) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackQ8_K(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(Q8_K_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: the element of largest magnitude becomes -127, c = nearest(x * fround(-127 /
 * extreme)), ties to even, d = fround(1 / fround(-127 / extreme)). Where that quotient overflows, codes and d are 0.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q8_K_ref of ggml, with the same bits.
 */
export function packQ8_K(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q8_K_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

function viewOf(bytes: Uint8Array, at: number): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset + at, Q8_K_BLOCK.blockBytes);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = viewOf(bytes, at).getFloat32(0, true);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) out[to + i] = d * readI8(bytes, at + CODES_AT + i);
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const extreme = extremeIn(x, from, SUPER_BLOCK_SIZE);
  if (extreme === 0) return;
  const inverse = fround(-MAX_CODE / extreme);
  viewOf(bytes, at).setFloat32(0, fround(1 / inverse), true);
  const sums = new Int16Array(SUPER_BLOCK_SIZE / SUM_OF);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    bytes[at + CODES_AT + i] = Math.min(MAX_CODE, nearestInt(fround(inverse * x[from + i]!))); // its low byte
    sums[Math.floor(i / SUM_OF)]! += readI8(bytes, at + CODES_AT + i);
  }
  sums.forEach((sum, j) => {
    writeU16(bytes, at + SUMS_AT + 2 * j, sum);
  });
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: half a step and four f32 roundings of a quotient
 * up to 127; below 127 * 2^-128, where the quotient overflows, all of x.
 */
export function worstCaseErrorQ8_K(amax: number): number {
  const tiny = MAX_CODE * 2 ** -128;
  return amax <= tiny ? tiny : (amax / MAX_CODE) * (0.5 + MAX_CODE * gamma(6));
}
