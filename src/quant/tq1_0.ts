import { gamma } from '../core/sum.ts';
import { F16_SCALE_LIMIT, scaleError } from './block.ts';
import { blockLayout, packBlocks, readF16, unpackBlocks, writeF16 } from './ggml_block.ts';
import { ternaryCodes } from './ternary.ts';

/**
 * tq1_0: 256 elements share one scale, each is -1, 0 or 1 times it, five to a byte; 54 bytes, 1.6875 bits an element.
 *
 *   byte    0         31     32         47     48         51     52   53
 *        [ codes of 160 ][ codes of 80 ][ codes of 16 ][ d: f16 ]        w[i] = d * (c[i] - 1)        c: 0..2
 *
 *   Byte k of the first part holds c[k], c[32 + k], c[64 + k], c[96 + k], c[128 + k], that of the second c[160 + k],
 *   c[176 + k], ..., c[224 + k], that of the third c[240 + k], c[244 + k], c[248 + k], c[252 + k] and a digit 0.
 *
 * A byte is the fraction 0.c0 c1 c2 c3 c4 in base 3, rounded up to 256ths: multiplied by 3 its carry is c0, and what is left
 * of it the fraction of the others. (3^5 = 243 steps fit in a byte, so that the rounding never reaches a digit.)
 */
const TQ1_0_BLOCK = blockLayout('tq1_0');
const D_AT = 52;
const BASE = 3;
const DIGITS = 5;
/** Base 3 numbers of five digits: 3^5. */
const N_FRACTIONS = 243;

/** A run of bytes: `nBytes` from `at` on hold the elements from `first` on, `nDigits` each, nBytes apart. */
interface Part {
  readonly at: number;
  readonly nBytes: number;
  readonly first: number;
  readonly nDigits: number;
}

const PARTS: readonly Part[] = [
  { at: 0, nBytes: 32, first: 0, nDigits: 5 },
  { at: 32, nBytes: 16, first: 160, nDigits: 5 },
  { at: 48, nBytes: 4, first: 240, nDigits: 4 },
];

/**
 * out[outOffset + i] = d * (c[i] - 1), exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackTQ1_0(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackBlocks(TQ1_0_BLOCK, unpackBlock, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: d and codes of `ternaryCodes`; d is then stored as f16.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_tq1_0_ref of ggml, with the same bits.
 */
export function packTQ1_0(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(TQ1_0_BLOCK, packBlock, x, from, n, bytes, byteOffset);
}

function unpackBlock(bytes: Uint8Array, at: number, out: Float32Array, to: number): void {
  const d = readF16(bytes, at + D_AT);
  for (const part of PARTS) {
    for (let k = 0; k < part.nBytes; k++) {
      let fraction = bytes[at + part.at + k]!;
      for (let digit = 0; digit < part.nDigits; digit++) {
        fraction *= BASE;
        out[to + part.first + part.nBytes * digit + k] = d * ((fraction >>> 8) - 1);
        fraction &= 0xff;
      }
    }
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const { d, codes } = ternaryCodes(x, from);
  writeF16(bytes, at + D_AT, d);
  for (const part of PARTS) {
    for (let k = 0; k < part.nBytes; k++) {
      let fraction = 0;
      for (let digit = 0; digit < DIGITS; digit++) {
        const code = digit < part.nDigits ? codes[part.first + part.nBytes * digit + k]! : 0;
        fraction = fraction * BASE + code;
      }
      bytes[at + part.at + k] = Math.ceil((fraction * 256) / N_FRACTIONS);
    }
  }
}

/**
 * Largest |x - unpack(pack(x))| in a block whose largest magnitude is amax: half of it, two f32 roundings of the quotient,
 * and the error of d in f16. Infinity where d overflows f16.
 */
export function worstCaseErrorTQ1_0(amax: number): number {
  return amax < F16_SCALE_LIMIT ? amax * (0.5 + gamma(3)) + scaleError(amax) : Infinity;
}
