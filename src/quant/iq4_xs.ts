import { nearestCode } from './c_rounding.ts';
import { type CodedBlock, superFormat, unpackCoded } from './coded_block.ts';
import { TINY } from './fit_symmetric.ts';
import { extremeIn, packBlocks, readF16, readU16, SUPER_BLOCK_SIZE, writeF16, writeU16 } from './ggml_block.ts';
import { fitIq4, IQ4_VALUES, nearestIq4 } from './iq4_values.ts';

/**
 * iq4_xs: 256 elements in eight sub-blocks of 32, each with a 6-bit scale s, codes as in iq4_nl; 136 bytes, 4.25 bits an
 * element.
 *
 *   byte   0    1    2          3      4                    7      8               135
 *        [ d: f16 ][ high: u16, LE ][ s1 | s0 ] ... [ s7 | s6 ][ codes: 8 x 16 bytes ]
 *
 *   nibbles hold the low four bits of s; bits 2 j and 2 j + 1 of `high` are the upper two of s[j].
 *   codes: byte k of the j-th 16 holds c[32 j + k] (low nibble) and c[32 j + 16 + k] (high nibble).
 *
 *        w[i] = d * (s[i / 32] - 32) * value[c[i]]
 */
const { fround } = Math;

const HIGH_AT = 2;
const LOW_AT = 4;
const CODES_AT = 8;
const SUB_BLOCK = 32;
export const IQ4_XS = superFormat('iq4_xs', SUB_BLOCK, false, readBlock);
const HALF = 16;
const N_SUB = SUPER_BLOCK_SIZE / SUB_BLOCK;
const ZERO_SCALE = 32;
/** Step sizes that the search for a sub-block's scale tries on each side. */
const N_TRIALS = 7;

/**
 * out[outOffset + i] = d * (s - 32) * value[c[i]], exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackIQ4_XS(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(IQ4_XS, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: each sub-block's scale is the best of 16 least squares fits, scales are rounded to
 * 32nds of the largest in the super-block, codes are taken for the rounded ones (with d not yet rounded to f16).
 * The scales come out of a search, so no bound for one element is derived.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_iq4_xs_ref of ggml, with the same bits.
 */
export function packIQ4_XS(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(IQ4_XS, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  const highBits = readU16(bytes, at + HIGH_AT);
  for (let j = 0; j < N_SUB; j++) {
    const low = (bytes[at + LOW_AT + (j >> 1)]! >>> (4 * (j & 1))) & 0x0f;
    const high = (highBits >>> (2 * j)) & 3;
    block.scales[j] = low + (high << 4) - ZERO_SCALE;
    for (let k = 0; k < HALF; k++) {
      const pair = bytes[at + CODES_AT + HALF * j + k]!;
      block.codes[SUB_BLOCK * j + k] = IQ4_VALUES[pair & 0x0f]!;
      block.codes[SUB_BLOCK * j + HALF + k] = IQ4_VALUES[pair >>> 4]!;
    }
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const scales = new Float32Array(N_SUB);
  let extreme = 0; // of the scales; its sign counts
  for (let j = 0; j < N_SUB; j++) {
    scales[j] = scaleOf(x, from + SUB_BLOCK * j);
    if (Math.abs(scales[j]!) > Math.abs(extreme)) extreme = scales[j]!;
  }

  const d = fround(-extreme / ZERO_SCALE);
  const inverse = d === 0 ? 0 : fround(1 / d);
  let highBits = 0;
  for (let j = 0; j < N_SUB; j++) {
    const s = nearestCode(fround(inverse * scales[j]!), -ZERO_SCALE, ZERO_SCALE - 1);
    packCodes(x, from + SUB_BLOCK * j, fround(d * s), bytes, at + CODES_AT + HALF * j);
    bytes[at + LOW_AT + (j >> 1)]! |= ((s + ZERO_SCALE) & 0x0f) << (4 * (j & 1));
    highBits |= ((s + ZERO_SCALE) >>> 4) << (2 * j);
  }
  writeF16(bytes, at, d);
  writeU16(bytes, at + HIGH_AT, highBits);
}

/** The best scale of 32 elements by themselves; 0 below 1e-15. */
function scaleOf(x: Float32Array, from: number): number {
  const extreme = extremeIn(x, from, SUB_BLOCK);
  if (Math.abs(extreme) < TINY) return 0;
  return fitIq4(x, from, SUB_BLOCK, extreme, fround(1 / fround(-extreme / IQ4_VALUES[0]!)), N_TRIALS);
}

/** The 16 bytes of codes of 32 elements at one scale. */
function packCodes(x: Float32Array, from: number, scale: number, bytes: Uint8Array, at: number): void {
  const inverse = scale === 0 ? 0 : fround(1 / scale);
  for (let k = 0; k < HALF; k++) {
    const low = nearestIq4(fround(inverse * x[from + k]!));
    const high = nearestIq4(fround(inverse * x[from + HALF + k]!));
    bytes[at + k] = low | (high << 4);
  }
}
