import { f32ToF16 } from '../core/half.ts';
import { roundTiesAway } from '../core/rounding.ts';
import { gamma } from '../core/sum.ts';
import { BLOCK_SIZE, checkRun, extremeOf, F16_SCALE_LIMIT, scaleError } from './block.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { readF16 } from './ggml_block.ts';

/**
 * q8_0: 32 elements share one scale; 34 bytes, 8.5 bits an element.
 *
 *   byte   0    1    2     3           33
 *        [ d: f16 ][ c0 ][ c1 ] ... [ c31 ]        c: i8        w[i] = d * c[i]
 *
 * d = max|x| / 127, so codes span -127..127 (-128 is legal in a file and never written here).
 */
const { fround } = Math;

export const Q8_0 = plainFormat('q8_0', false, readBlock);
const BLOCK_BYTES = 34;
const MAX_CODE = 127;

/**
 * out[outOffset + i] = fround(d * c[i]) for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackQ8_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q8_0, bytes, byteOffset, out, outOffset, n);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  for (let i = 0; i < BLOCK_SIZE; i++) block.codes[i] = bytes[at + 2 + i]!; // the store makes it signed
}

/**
 * Stores x[from .. from + n) at byteOffset: d = fround(max|x| / 127), c = round(fround(x * fround(1 / d))), ties away from
 * zero; d is then stored as f16, the codes stay those of the unrounded d.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q8_0_ref of ggml, with the same bits. Where 1 / d overflows, all codes are 0 (d is 0 in f16 too).
 */
export function packQ8_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  checkRun('q8_0', n, x, from, bytes, byteOffset);
  for (let block = 0; block < n / BLOCK_SIZE; block++) {
    const first = from + block * BLOCK_SIZE;
    const at = byteOffset + block * BLOCK_BYTES;
    const d = fround(Math.abs(extremeOf('q8_0', x, first)) / MAX_CODE);
    const inverse = fround(1 / d);
    const usable = Number.isFinite(inverse);

    const dBits = f32ToF16(d);
    bytes[at] = dBits & 0xff;
    bytes[at + 1] = dBits >>> 8;
    for (let i = 0; i < BLOCK_SIZE; i++) {
      bytes[at + 2 + i] = usable ? roundTiesAway(fround(x[first + i]! * inverse)) & 0xff : 0;
    }
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax:
 *   half a step, three f32 roundings of a quotient up to 127, 127 times the error of the scale in f16, and the last product.
 * Infinity where the scale overflows f16 (amax above 8.3 million).
 */
export function worstCaseErrorQ8_0(amax: number): number {
  const d = amax / MAX_CODE;
  if (d * (1 + gamma(1)) >= F16_SCALE_LIMIT) return Infinity;
  return d * (0.5 + MAX_CODE * gamma(4)) + MAX_CODE * scaleError(d) * (1 + gamma(2));
}
