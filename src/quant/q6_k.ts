import { nearestCode, nearestInt } from './c_rounding.ts';
import { type CodedBlock, superFormat, unpackCoded } from './coded_block.ts';
import { fitSymmetric, TINY } from './fit_symmetric.ts';
import { packBlocks, readF16, readI8, SUPER_BLOCK_SIZE, writeF16 } from './ggml_block.ts';

/**
 * q6_k: 256 elements in 16 sub-blocks of 16, each with an 8-bit scale s; 210 bytes, 6.5625 bits an element.
 *
 *   byte    0               127    128              191    192           207   208  209
 *        [ low: 2 x 64 bytes ][ high: 2 x 32 bytes ][ s0 ] ... [ s15 ][ d: f16 ]        s: i8
 *
 *   low:  byte k of the g-th 64 holds the low four bits of c[128 g + k] (low nibble) and c[128 g + 64 + k] (high nibble).
 *   high: byte k of the g-th 32 holds the upper two bits of c[128 g + k], c[128 g + 32 + k], c[128 g + 64 + k],
 *         c[128 g + 96 + k], the first in the lowest.
 *
 *        w[i] = d * s[i / 16] * (c[i] - 32)        c: 0..63
 */
const { fround } = Math;

const HIGH_AT = 128;
const SCALES_AT = 192;
const D_AT = 208;
const SUB_BLOCK = 16;
export const Q6_K = superFormat('q6_k', SUB_BLOCK, false, readBlock);
const N_SUB = SUPER_BLOCK_SIZE / SUB_BLOCK;
const ZERO_CODE = 32;
/** The largest sub-block scale becomes -128. */
const SCALE_RANGE = 128;

/**
 * out[outOffset + i] = d * s * (c[i] - 32), exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackQ6_K(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q6_K, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: each sub-block is fitted by `fitSymmetric`, the scales are rounded to 128ths of
 * the largest in the super-block, then all codes are taken anew with the rounded ones. All zero bytes where every |x| is
 * below 1e-15 or no scale reaches it.
 * The scales come out of a search, so no bound for one element is derived.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q6_K_ref of ggml, with the same bits.
 */
export function packQ6_K(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q6_K, packBlock, x, from, n, bytes, byteOffset);
}

/** Where element i has its bits: bytes after the start of `low` and after HIGH_AT, and how far up in each. */
const lowByte = (i: number): number => 64 * (i >> 7) + (i & 63);
const lowShift = (i: number): number => 4 * ((i >> 6) & 1);
const highByte = (i: number): number => 32 * (i >> 7) + (i & 31);
const highShift = (i: number): number => 2 * ((i >> 5) & 3);

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at + D_AT);
  for (let j = 0; j < N_SUB; j++) block.scales[j] = readI8(bytes, at + SCALES_AT + j);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    const low = (bytes[at + lowByte(i)]! >>> lowShift(i)) & 0x0f;
    const high = (bytes[at + HIGH_AT + highByte(i)]! >>> highShift(i)) & 3;
    block.codes[i] = low + (high << 4) - ZERO_CODE;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const codes = new Uint8Array(SUPER_BLOCK_SIZE);
  const scales = new Float32Array(N_SUB);
  let extreme = 0; // of the scales; its sign counts
  for (let j = 0; j < N_SUB; j++) {
    const scale = fitSymmetric(x, from + SUB_BLOCK * j, SUB_BLOCK, ZERO_CODE, codes, SUB_BLOCK * j);
    scales[j] = scale;
    if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
  }
  if (Math.abs(extreme) < TINY) return;

  const inverse = fround(-SCALE_RANGE / extreme);
  const d = writeF16(bytes, at + D_AT, fround(1 / inverse));
  for (let j = 0; j < N_SUB; j++) {
    bytes[at + SCALES_AT + j] = Math.min(SCALE_RANGE - 1, nearestInt(fround(inverse * scales[j]!)));
  }

  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    const scale = d * readI8(bytes, at + SCALES_AT + (i >> 4));
    // A sub-block whose scale came out as 0 keeps the codes of its fit.
    if (scale !== 0) {
      codes[i] = nearestCode(fround(x[from + i]! / scale), -ZERO_CODE, ZERO_CODE - 1) + ZERO_CODE;
    }
    bytes[at + lowByte(i)]! |= (codes[i]! & 0x0f) << lowShift(i);
    bytes[at + HIGH_AT + highByte(i)]! |= (codes[i]! >>> 4) << highShift(i);
  }
}
