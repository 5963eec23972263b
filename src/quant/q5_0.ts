import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE, F16_SCALE_LIMIT, scaleError } from './block.ts';
import { truncCode } from './c_rounding.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { extremeIn, packBlocks, readF16, writeF16 } from './ggml_block.ts';

/**
 * q5_0: 32 elements share one scale; 22 bytes, 5.5 bits an element.
 *
 *   byte   0    1      2           3             5              6                      21
 *        [ d: f16 ][ h7..h0 ][ h15..h8 ] ... [ h31..h24 ][ l16 | l0 ] ... [ l31 | l15 ]
 *
 *        c[i] = h[i] * 16 + l[i]: 0..31        w[i] = d * (c[i] - 16)
 *
 * The element of largest magnitude, sign included, becomes code 0: d = extreme / -16, as in q4_0.
 */
const { fround } = Math;

export const Q5_0 = plainFormat('q5_0', false, readBlock);
const HALF = 16;
const HIGH_AT = 2;
const LOW_AT = 6;
const ZERO_CODE = 16;
const MAX_CODE = 31;

/**
 * out[outOffset + i] = fround(d * (c[i] - 16)) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ5_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q5_0, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d = extreme / -16, c = min(31, floor(x * fround(1 / d) + 16.5)), each step
 * rounded to f32; d is then stored as f16, the codes stay those of the unrounded d.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q5_0_ref of ggml, with the same bits.
 */
export function packQ5_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q5_0, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  for (let i = 0; i < BLOCK_SIZE; i++) {
    const low = (bytes[at + LOW_AT + (i & 15)]! >>> (i < HALF ? 0 : 4)) & 0x0f;
    const high = (bytes[at + HIGH_AT + (i >> 3)]! >>> (i & 7)) & 1;
    block.codes[i] = (high << 4) + low - ZERO_CODE;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const d = fround(extremeIn(x, from, BLOCK_SIZE) / -ZERO_CODE);
  const inverse = d === 0 ? 0 : fround(1 / d);
  writeF16(bytes, at, d);
  for (let i = 0; i < BLOCK_SIZE; i++) {
    const code = truncCode(fround(fround(x[from + i]! * inverse) + (ZERO_CODE + 0.5)), MAX_CODE);
    bytes[at + LOW_AT + (i & 15)]! |= (code & 0x0f) << (i < HALF ? 0 : 4);
    bytes[at + HIGH_AT + (i >> 3)]! |= (code >>> 4) << (i & 7);
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax:
 *   a whole step (where the far end is cut), four f32 roundings of quotients up to 32.5, and 16 times the error of the scale
 *   in f16.
 * Infinity where the scale overflows f16 (amax above 1,048,000).
 */
export function worstCaseErrorQ5_0(amax: number): number {
  const d = amax / ZERO_CODE;
  if (d >= F16_SCALE_LIMIT) return Infinity;
  return d * (1 + (MAX_CODE + 2) * gamma(4)) + ZERO_CODE * scaleError(d) * (1 + gamma(2));
}
