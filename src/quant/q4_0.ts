import { f32ToF16 } from '../core/half.ts';
import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE, checkRun, extremeOf, F16_SCALE_LIMIT, scaleError } from './block.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { readF16 } from './ggml_block.ts';

/**
 * q4_0: 32 elements share one scale; 18 bytes, 4.5 bits an element.
 *
 *   byte   0    1       2                      17
 *        [ d: f16 ][ c16 | c0 ] ... [ c31 | c15 ]        c: 0..15, high nibble | low nibble        w[i] = d * (c[i] - 8)
 *
 * The element of largest magnitude, sign included, becomes code 0: d = extreme / -8. So d may be negative, and a block of
 * zeros has d = -0. The other end of the range is 7 steps long: an element near -extreme is cut to code 15.
 */
const { fround } = Math;

export const Q4_0 = plainFormat('q4_0', false, readBlock);
const BLOCK_BYTES = 18;
const HALF = BLOCK_SIZE / 2;
const ZERO_CODE = 8;
const MAX_CODE = 15;

/**
 * out[outOffset + i] = fround(d * (c[i] - 8)) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ4_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q4_0, bytes, byteOffset, out, outOffset, n);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  for (let i = 0; i < HALF; i++) {
    const pair = bytes[at + 2 + i]!;
    block.codes[i] = (pair & 0x0f) - ZERO_CODE;
    block.codes[HALF + i] = (pair >>> 4) - ZERO_CODE;
  }
}

/**
 * Stores x[from .. from + n) at byteOffset: d = extreme / -8, c = min(15, floor(x / d + 8.5)), the quotient taken as
 * x * fround(1 / d), each step rounded to f32; d is then stored as f16, the codes stay those of the unrounded d.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q4_0_ref of ggml, with the same bits.
 */
export function packQ4_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  checkRun('q4_0', n, x, from, bytes, byteOffset);
  for (let block = 0; block < n / BLOCK_SIZE; block++) {
    const first = from + block * BLOCK_SIZE;
    const at = byteOffset + block * BLOCK_BYTES;
    const d = fround(extremeOf('q4_0', x, first) / -ZERO_CODE);
    const inverse = d === 0 ? 0 : fround(1 / d);

    const dBits = f32ToF16(d);
    bytes[at] = dBits & 0xff;
    bytes[at + 1] = dBits >>> 8;
    for (let i = 0; i < HALF; i++) {
      bytes[at + 2 + i] = codeOf(x[first + i]!, inverse) | (codeOf(x[first + HALF + i]!, inverse) << 4);
    }
  }
}

/** An inverse that overflowed belongs to a d that is 0 in f16: any code means 0, and 0 is what C's conversion gives. */
function codeOf(x: number, inverse: number): number {
  if (!Number.isFinite(inverse)) return 0;
  return Math.min(MAX_CODE, Math.trunc(fround(fround(x * inverse) + 8.5)));
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax:
 *   a whole step (where the far end is cut), four f32 roundings of quotients up to 16.5, and 8 times the error of the scale
 *   in f16.
 * Infinity where the scale overflows f16 (amax above 524,000).
 */
export function worstCaseErrorQ4_0(amax: number): number {
  const d = amax / ZERO_CODE;
  if (d >= F16_SCALE_LIMIT) return Infinity;
  return d * (1 + (MAX_CODE + 2) * gamma(4)) + ZERO_CODE * scaleError(d) * (1 + gamma(2));
}
