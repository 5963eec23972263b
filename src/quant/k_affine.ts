import { nearestCode, nearestInt } from './c_rounding.ts';
import type { CodedBlock } from './coded_block.ts';
import { type AffineSearch, fitAffine } from './fit_affine.ts';
import { readF16, SUPER_BLOCK_SIZE, writeF16 } from './ggml_block.ts';
import { readMin, readScale, writePair } from './six_bit_scales.ts';

/**
 * The head that q4_k and q5_k share: 16 bytes for 256 elements in eight sub-blocks of 32.
 *
 *   byte   0    1    2    3      4         15
 *        [ d: f16 ][ dmin: f16 ][ s, m: 12 bytes, see six_bit_scales.ts ]
 *
 *        w[i] = d * s[i / 32] * c[i] - dmin * m[i / 32]
 */
const { fround } = Math;

const SUB_BLOCK = 32;
const N_SUB = SUPER_BLOCK_SIZE / SUB_BLOCK;
const PAIRS_AT = 4;
/** Largest 6-bit scale or minimum. */
const MAX_SCALE = 63;

/** d, dmin, s and m of the block that starts at bytes[at]. */
export function readAffineHead(bytes: Uint8Array, at: number, block: CodedBlock): void {
  block.d = readF16(bytes, at);
  block.dmin = readF16(bytes, at + 2);
  for (let j = 0; j < N_SUB; j++) {
    block.scales[j] = readScale(bytes, at + PAIRS_AT, j);
    block.mins[j] = readMin(bytes, at + PAIRS_AT, j);
  }
}

/** d * s and dmin * m of sub-block j; both exact (11 + 6 bits). */
function readAffine(bytes: Uint8Array, at: number, j: number): { scale: number; min: number } {
  return {
    scale: readF16(bytes, at) * readScale(bytes, at + PAIRS_AT, j),
    min: readF16(bytes, at + 2) * readMin(bytes, at + PAIRS_AT, j),
  };
}

/**
 * Fits the 256 elements from x[from], stores the head at bytes[at] and returns their codes.
 *
 * Each sub-block is fitted by itself with weights rms + |x|. Its scale and minimum are rounded to 63rds of the largest in the
 * super-block, then all codes are taken anew with the rounded ones. (A sub-block whose scale rounds to 0 keeps the codes of
 * its fit, which no longer mean anything.)
 * Source: the common part of quantize_row_q4_K_ref and quantize_row_q5_K_ref of ggml.
 */
export function packAffine(
  x: Float32Array,
  from: number,
  bytes: Uint8Array,
  at: number,
  search: AffineSearch,
): Uint8Array {
  const codes = new Uint8Array(SUPER_BLOCK_SIZE);
  const weights = new Float32Array(SUB_BLOCK);
  const scales = new Float32Array(N_SUB);
  const mins = new Float32Array(N_SUB);
  let maxScale = 0;
  let maxMin = 0;
  for (let j = 0; j < N_SUB; j++) {
    const first = SUB_BLOCK * j;
    weighByRms(x, from + first, weights);
    const fit = fitAffine(x, from + first, weights, search, codes, first);
    scales[j] = fit.scale;
    mins[j] = fit.min;
    if (fit.scale > maxScale) maxScale = fit.scale;
    if (fit.min > maxMin) maxMin = fit.min;
  }

  const inverseScale = maxScale > 0 ? fround(MAX_SCALE / maxScale) : 0;
  const inverseMin = maxMin > 0 ? fround(MAX_SCALE / maxMin) : 0;
  for (let j = 0; j < N_SUB; j++) {
    const s = sixBits(fround(inverseScale * scales[j]!));
    const m = sixBits(fround(inverseMin * mins[j]!));
    writePair(bytes, at + PAIRS_AT, j, s, m);
  }
  writeF16(bytes, at, fround(maxScale / MAX_SCALE));
  writeF16(bytes, at + 2, fround(maxMin / MAX_SCALE));

  for (let j = 0; j < N_SUB; j++) {
    const { scale, min } = readAffine(bytes, at, j);
    if (scale === 0) continue;
    for (let i = SUB_BLOCK * j; i < SUB_BLOCK * (j + 1); i++) {
      codes[i] = nearestCode(fround(fround(x[from + i]! + min) / scale), 0, search.maxCode);
    }
  }
  return codes;
}

/** Through C's uint8_t, so that the negative scale of an odd fit becomes 63. */
function sixBits(x: number): number {
  return Math.min(MAX_SCALE, nearestInt(x) & 0xff);
}

/** weights[i] = sqrt(mean x^2) + |x[i]|: large elements count more, small ones are not forgotten. */
function weighByRms(x: Float32Array, from: number, weights: Float32Array): void {
  let sumSquares = 0;
  for (let i = 0; i < weights.length; i++) sumSquares = fround(sumSquares + fround(x[from + i]! * x[from + i]!));
  const rms = fround(Math.sqrt(fround(sumSquares / weights.length)));
  for (let i = 0; i < weights.length; i++) weights[i] = rms + Math.abs(x[from + i]!); // the store rounds
}
