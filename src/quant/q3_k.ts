import { nearestCode } from './c_rounding.ts';
import { type CodedBlock, superFormat, unpackCoded } from './coded_block.ts';
import { fitSymmetricByDescent } from './fit_symmetric.ts';
import { packBlocks, readF16, SUPER_BLOCK_SIZE, writeF16 } from './ggml_block.ts';

/**
 * q3_k: 256 elements in 16 sub-blocks of 16, each with a 6-bit scale s; 110 bytes, 3.4375 bits an element.
 *
 *   byte    0         31    32               95    96                107   108  109
 *        [ high: 32 bytes ][ low: 2 x 32 bytes ][ scales: 12 bytes ][ d: f16 ]
 *
 *   low:    byte k of the g-th 32 holds the low two bits of c[128 g + k], c[128 g + 32 + k], c[128 g + 64 + k],
 *           c[128 g + 96 + k], the first in the lowest.
 *   high:   bit j of byte k is the third bit of c[32 j + k].
 *   scales: byte k = 0..7 holds the low four bits of s[k] (low nibble) and s[8 + k] (high nibble); byte 8 + k, k = 0..3,
 *           the upper two bits of s[k], s[4 + k], s[8 + k], s[12 + k], the first in the lowest.
 *
 *        w[i] = d * (s[i / 16] - 32) * (c[i] - 4)        c: 0..7, s: 0..63
 */
const { fround } = Math;

const LOW_AT = 32;
const SCALES_AT = 96;
const D_AT = 108;
const SUB_BLOCK = 16;
export const Q3_K = superFormat('q3_k', SUB_BLOCK, false, readBlock);
const N_SUB = SUPER_BLOCK_SIZE / SUB_BLOCK;
const ZERO_CODE = 4;
const ZERO_SCALE = 32;

/**
 * out[outOffset + i] = d * (s - 32) * (c[i] - 4), exactly, for the n elements (whole blocks) stored at byteOffset.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackQ3_K(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q3_K, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: each sub-block is fitted by `fitSymmetricByDescent`, the scales are rounded to
 * 32nds of the largest in the super-block, then all codes are taken anew with the rounded ones.
 * The scales come out of a search, so no bound for one element is derived.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q3_K_ref of ggml, with the same bits.
 */
export function packQ3_K(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q3_K, packBlock, x, from, n, bytes, byteOffset);
}

/** Where element i has its low two bits: the byte after LOW_AT, and how far up. */
const lowByte = (i: number): number => 32 * (i >> 7) + (i & 31);
const lowShift = (i: number): number => 2 * ((i >> 5) & 3);

/** s[j] - 32. */
function readSubScale(bytes: Uint8Array, at: number, j: number): number {
  const low = (bytes[at + SCALES_AT + (j & 7)]! >>> (4 * (j >> 3))) & 0x0f;
  const high = (bytes[at + SCALES_AT + 8 + (j & 3)]! >>> (2 * (j >> 2))) & 3;
  return low + (high << 4) - ZERO_SCALE;
}

function writeSubScale(bytes: Uint8Array, at: number, j: number, value: number): void {
  const s = value + ZERO_SCALE;
  bytes[at + SCALES_AT + (j & 7)]! |= (s & 0x0f) << (4 * (j >> 3));
  bytes[at + SCALES_AT + 8 + (j & 3)]! |= (s >>> 4) << (2 * (j >> 2));
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at + D_AT);
  for (let j = 0; j < N_SUB; j++) block.scales[j] = readSubScale(bytes, at, j);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    const low = (bytes[at + LOW_AT + lowByte(i)]! >>> lowShift(i)) & 3;
    const high = (bytes[at + (i & 31)]! >>> (i >> 5)) & 1;
    block.codes[i] = low + (high << 2) - ZERO_CODE;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const codes = new Uint8Array(SUPER_BLOCK_SIZE);
  const scales = new Float32Array(N_SUB);
  let extreme = 0; // of the scales; its sign counts
  for (let j = 0; j < N_SUB; j++) {
    const scale = fitSymmetricByDescent(x, from + SUB_BLOCK * j, SUB_BLOCK, ZERO_CODE, codes, SUB_BLOCK * j);
    scales[j] = scale;
    if (Math.abs(scale) > Math.abs(extreme)) extreme = scale;
  }

  if (extreme !== 0) {
    const inverse = fround(-ZERO_SCALE / extreme);
    for (let j = 0; j < N_SUB; j++) {
      writeSubScale(bytes, at, j, nearestCode(fround(inverse * scales[j]!), -ZERO_SCALE, ZERO_SCALE - 1));
    }
    writeF16(bytes, at + D_AT, fround(1 / inverse));
  }

  const d = readF16(bytes, at + D_AT);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    const scale = d * readSubScale(bytes, at, i >> 4);
    // A sub-block whose scale came out as 0 keeps the codes of its fit.
    if (scale !== 0) {
      codes[i] = nearestCode(fround(x[from + i]! / scale), -ZERO_CODE, ZERO_CODE - 1) + ZERO_CODE;
    }
    bytes[at + LOW_AT + lowByte(i)]! |= (codes[i]! & 3) << lowShift(i);
    bytes[at + (i & 31)]! |= (codes[i]! >>> 2) << (i >> 5);
  }
}
