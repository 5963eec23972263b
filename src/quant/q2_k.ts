import { nearestCode, nearestInt } from './c_rounding.ts';
import { type CodedBlock, superFormat, unpackCoded } from './coded_block.ts';
import { type AffineSearch, fitAffine } from './fit_affine.ts';
import { packBlocks, readF16, SUPER_BLOCK_SIZE, writeF16 } from './ggml_block.ts';

/**
 * q2_k: 256 elements in 16 sub-blocks of 16, each with a 4-bit scale s and a 4-bit minimum m; 84 bytes, 2.625 bits an element.
 *
 *   byte    0             15    16                 79    80   81   82   83
 *        [ m0 | s0 ] ... [ m15 | s15 ][ codes: 2 x 32 bytes ][ d: f16 ][ dmin: f16 ]
 *
 *   codes: byte k of the g-th 32 holds c[128 g + k], c[128 g + 32 + k], c[128 g + 64 + k], c[128 g + 96 + k], two bits each,
 *   the first in the lowest.
 *
 *        w[i] = d * s[i / 16] * c[i] - dmin * m[i / 16]        c: 0..3
 */
const { fround } = Math;

const CODES_AT = 16;
const D_AT = 80;
const DMIN_AT = 82;
const SUB_BLOCK = 16;
export const Q2_K = superFormat('q2_k', SUB_BLOCK, true, readBlock);
const N_SUB = SUPER_BLOCK_SIZE / SUB_BLOCK;
/** Largest 4-bit scale or minimum. */
const MAX_SCALE = 15;

const SEARCH: AffineSearch = { maxCode: 3, first: -0.5, step: fround(0.1), nSteps: 15, byDistance: true };

/**
 * out[outOffset + i] = fround(d * s * c[i] - dmin * m) for the n elements (whole blocks) stored at byteOffset; both products
 * are exact.
 * Throws ShapeError when n is not a multiple of 256 or a buffer is too short.
 */
export function unpackQ2_K(
  bytes: Uint8Array,
  byteOffset: number,
  out: Float32Array,
  outOffset: number,
  n: number,
): void {
  unpackCoded(Q2_K, bytes, byteOffset, out, outOffset, n);
}

/**
 * Stores x[from .. from + n) at byteOffset: each sub-block is fitted with weights |x|, its scale and minimum are rounded to
 * 15ths of the largest in the super-block, then all codes are taken anew with the rounded ones.
 * The scales come out of a search, so no bound for one element is derived.
 * Throws ShapeError as above, UnsupportedError on NaN and infinities.
 * Source: quantize_row_q2_K_ref of ggml, with the same bits.
 */
export function packQ2_K(x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number): void {
  packBlocks(Q2_K, packBlock, x, from, n, bytes, byteOffset);
}

/** Where element i has its two bits: the byte after CODES_AT, and how far up. */
const codeByte = (i: number): number => 32 * (i >> 7) + (i & 31);
const codeShift = (i: number): number => 2 * ((i >> 5) & 3);

/** The parts of the block that starts at bytes[at]. */
function readBlock(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at + D_AT);
  block.dmin = readF16(bytes, at + DMIN_AT);
  for (let j = 0; j < N_SUB; j++) {
    block.scales[j] = bytes[at + j]! & 0x0f;
    block.mins[j] = bytes[at + j]! >>> 4;
  }
  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    block.codes[i] = (bytes[at + CODES_AT + codeByte(i)]! >>> codeShift(i)) & 3;
  }
}

function packBlock(x: Float32Array, from: number, bytes: Uint8Array, at: number): void {
  const codes = new Uint8Array(SUPER_BLOCK_SIZE);
  const weights = new Float32Array(SUB_BLOCK);
  const scales = new Float32Array(N_SUB);
  const mins = new Float32Array(N_SUB);
  let maxScale = 0;
  let maxMin = 0;
  for (let j = 0; j < N_SUB; j++) {
    const first = from + SUB_BLOCK * j;
    for (let k = 0; k < SUB_BLOCK; k++) weights[k] = Math.abs(x[first + k]!);
    const fit = fitAffine(x, first, weights, SEARCH, codes, SUB_BLOCK * j);
    scales[j] = fit.scale;
    mins[j] = fit.min;
    if (fit.scale > maxScale) maxScale = fit.scale;
    if (fit.min > maxMin) maxMin = fit.min;
  }

  const inverseScale = maxScale > 0 ? fround(MAX_SCALE / maxScale) : 0;
  const inverseMin = maxMin > 0 ? fround(MAX_SCALE / maxMin) : 0;
  for (let j = 0; j < N_SUB; j++) {
    bytes[at + j] = nearestInt(fround(inverseScale * scales[j]!)) | (nearestInt(fround(inverseMin * mins[j]!)) << 4);
  }
  const d = writeF16(bytes, at + D_AT, fround(maxScale / MAX_SCALE));
  const dmin = writeF16(bytes, at + DMIN_AT, fround(maxMin / MAX_SCALE));

  for (let i = 0; i < SUPER_BLOCK_SIZE; i++) {
    const pair = bytes[at + (i >> 4)]!;
    const scale = d * (pair & 0x0f);
    // A sub-block whose scale came out as 0 keeps the codes of its fit.
    if (scale !== 0)
      codes[i] = nearestCode(fround(fround(x[from + i]! + dmin * (pair >>> 4)) / scale), 0, SEARCH.maxCode);
    bytes[at + CODES_AT + codeByte(i)]! |= codes[i]! << codeShift(i);
  }
}
