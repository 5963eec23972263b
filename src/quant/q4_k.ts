import { type CodedBlock, superFormat, unpackCoded } from './coded_block.ts';
import type { AffineSearch } from './fit_affine.ts';
import { packBlocks, SUPER_BLOCK_SIZE } from './ggml_block.ts';
import { packAffine, readAffineHead } from './k_affine.ts';

/**
 * q4_k: 256 elements in eight sub-blocks of 32, each with a 6-bit scale s and a 6-bit minimum m; 144 bytes, 4.5 bits an
 * element.
 *
 *   byte   0    1    2    3      4            15     16                       143
 *        [ d: f16 ][ dmin: f16 ][ s, m: 12 bytes ][ codes: 4 x 32 bytes ]
 *
 *   codes: byte k of the g-th 32 holds c[64 g + k] in its low nibble and c[64 g + 32 + k] in its high one, 0..15.
 *
 *        w[i] = d * s[i / 32] * c[i] - dmin * m[i / 32]
 *
 * The packing of s and m is drawn in six_bit_scales.ts.
 */
const CODES_AT = 16;
const SUB_BLOCK = 32;
export const Q4_K = superFormat('q4_k', SUB_BLOCK, true, readBlock);

const SEARCH: AffineSearch = { maxCode: 15, first: -1, step: Math.fround(0.1), nSteps: 20, byDistance: false };

/**
 * out[outOffset + i] = fround(d * s * c[i] - dmin * m) for the n elements (whole blocks) stored at byteOffset; both products
 * are exact.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackQ4_K(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q4_K, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: `packAffine` finds scales, minima and codes.
 * The scales come out of a search, so no bound for one element is derived.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q4_K_ref of ggml, with the same bits.
 */
export function packQ4_K(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q4_K, packBlock, x, from, n, bytes, byteOffset);
}

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  readAffineHead(bytes, at, block);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    block.codes[i] = (bytes[at + CODES_AT + SUB_BLOCK * (i >> 6) + (i & 31)]! >>> (4 * ((i >> 5) & 1))) & 0x0f;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const codes = packAffine(x, from, bytes, at, SEARCH);
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    bytes[at + CODES_AT + SUB_BLOCK * (i >> 6) + (i & 31)]! |= codes[i]! << (4 * ((i >> 5) & 1));
  }
}
