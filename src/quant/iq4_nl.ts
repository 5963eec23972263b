import { BLOCK_SIZE } from './block.ts';
import { type CodedBlock, plainFormat, unpackCoded } from './coded_block.ts';
import { TINY } from './fit_symmetric.ts';
import { extremeIn, packBlocks, readF16, writeF16 } from './ggml_block.ts';
import { fitIq4, IQ4_VALUES, nearestIq4 } from './iq4_values.ts';

/**
 * iq4_nl: 32 elements share one scale, codes stand for 16 unevenly spaced values; 18 bytes, 4.5 bits an element.
 *
 *   byte   0    1       2                      17
 *        [ d: f16 ][ c16 | c0 ] ... [ c31 | c15 ]        c: 0..15, high nibble | low nibble        w[i] = d * value[c[i]]
 *
 * The values, -127..113, are those of iq4_values.ts.
 */
const { fround } = Math;

export const IQ4_NL = plainFormat('iq4_nl', false, readBlock);
const HALF = 16;
const CODES_AT = 2;

/**
 * out[outOffset + i] = d * value[c[i]], exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 32 or a buffer is too short.
 */
export function unpackIQ4_NL(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(IQ4_NL, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: codes are the values nearest to x / (extreme / -127), d is then the least squares
 * scale of x over those values with weights x^2.
 *
 * The scale is a fit, so no bound for one element is derived. From about 1e17 on, where sums of squares overflow, it is NaN.
 *
 * A block below 1e-15 gets d = 0 and codes of the value nearest to 0. (There ggml leaves in place whatever codes its buffer
 * held, of an earlier block or of nothing; they mean +0 or -0, so that values agree but for the sign of zero.)
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_iq4_nl_ref of ggml, with the same bits otherwise.
 */
export function packIQ4_NL(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(IQ4_NL, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  for (let i = 0; i < HALF; i++) {
    const pair = bytes[at + CODES_AT + i]!;
    block.codes[i] = IQ4_VALUES[pair & 0x0f]!;
    block.codes[HALF + i] = IQ4_VALUES[pair >>> 4]!;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const extreme = extremeIn(x, from, BLOCK_SIZE);
  const isTiny = Math.abs(extreme) < TINY;
  const inverse = isTiny ? 0 : fround(1 / fround(extreme / IQ4_VALUES[0]!));
  writeF16(bytes, at, isTiny ? 0 : fitIq4(x, from, BLOCK_SIZE, extreme, inverse, 0));
  for (let i = 0; i < HALF; i++) {
    const low = nearestIq4(fround(inverse * x[from + i]!));
    const high = nearestIq4(fround(inverse * x[from + HALF + i]!));
    bytes[at + CODES_AT + i] = low | (high << 4);
  }
}
