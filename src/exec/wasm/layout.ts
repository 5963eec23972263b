import { DTYPES, type DType, isBlockFormat, rowBytes } from '../../core/dtype.ts';
import { CapacityError, ShapeError } from '../../core/errors.ts';
import { roundUpToBlock } from '../../kvcache/layout.ts';
import { BLOCK_SIZE } from '../../quant/block.ts';
import { SUPER_BLOCK_SIZE } from '../../quant/ggml_block.ts';
import { storedAs } from './stored_as.ts';

/**
 * How matrices lie in WASM memory. Lanes are outputs (rows of `[out, in]`), so rows are interleaved in panels:
 *
 *   f32, f16, bf16   panels of 8 rows:   [ceil(out / 8)][in][8 rows]
 *   q8_0, q4_0       panels of 16 rows:  [ceil(out / 16)][in / 32] records of 16 rows x 32 columns:
 *
 *     q8_0 record   [column / 4][16 rows][column % 4], each byte code + 128; then 16 f16 scales            544 bytes
 *     q4_0 record   [column / 4][16 rows][column % 4] over columns 0..15: the low nibble is column c, the  288 bytes
 *                   high nibble column c + 16, each code + 8; then 16 f16 scales
 *
 *     So the same columns of all rows are four vectors side by side: a compiler may make wider ones of them.
 *
 *   q2_k to q6_k, iq4_xs, q4_1, q5_0, q5_1, iq4_nl, mxfp4
 *                    panels of 16 rows:  [ceil(out / 16)][2 halves of 8 rows][in / block] records of 8 rows x one block:
 *
 *     scales of sub-blocks       [sub-block][row], one byte each; then minima in the same way (q2_k: both in one byte)
 *     d, then dmin (or m)        of each row: f32 where blocks are of 256, else f16; mxfp4: its exponents, one byte
 *     codes of each 32 columns   8 quads of 4 columns; codes of a quad are bytes [row][column % 4] of two vectors, rows 0..3 and 4..7, and vectors
 *                                are packed as kernels/blocks/codes<bits>.ts draws it
 *
 *     bytes of a record          q4_1 160, q5_0 176, q5_1 192, iq4_nl 144, mxfp4 136: those of the file; q6_k 1696, iq4_xs 1120,
 *                                q5_k 1472, q2_k 704, q3_k 928, q4_k 1216: 1.01, 1.03, 1.05, 1.05, 1.05 and 1.06 times as many
 *
 * Little is added to what the file has: a scale of 6 bits takes a byte, one of a super-block an f32 (packScale says why). Rows beyond `out` in the last panel are zeros.
 *
 * Formats without kernels of their own are unpacked to f32 and lie as it does (stored_as.ts): what the functions below say of
 * such a format is true of f32.
 */
const FLOAT_PANEL_ROWS = 8;
const BLOCK_PANEL_ROWS = 16;

/** Every array in WASM memory starts at a multiple of this: the width of a vector. */
export const VECTOR_BYTES = 16;

/** Bytes of one block of 32 quantized activations: see kernels/blocks/q8_record.ts. */
export const ACTIVATION_BLOCK_BYTES = { simd: 72, relaxed: 44 } as const;

/** Bytes of 256 activations, in the same way, with sums of 16 and of 32 codes: kernels/blocks/q8_super_record.ts. */
export const SUPER_ACTIVATION_BLOCK_BYTES = { simd: 640, relaxed: 384 } as const;

/** Rows of a record of the formats of small integers, two vectors, and the bytes of such a record for one block. */
const RECORD_ROWS = 8;
const RECORD_BYTES: Partial<Record<DType, number>> = {
  q4_1: 160,
  q5_0: 176,
  q5_1: 192,
  iq4_nl: 144,
  mxfp4: 136,
  q2_k: 704,
  q3_k: 928,
  q4_k: 1216,
  q5_k: 1472,
  q6_k: 1696,
  iq4_xs: 1120,
};

/** Rows that one panel interleaves. */
export function panelRows(dtype: DType): number {
  return isBlockFormat(storedAs(dtype)) ? BLOCK_PANEL_ROWS : FLOAT_PANEL_ROWS;
}

/** Panels of a matrix with `nOut` rows, the last one perhaps not full. */
export function panelCount(dtype: DType, nOut: number): number {
  return Math.ceil(nOut / panelRows(dtype));
}

/**
 * Bytes of one panel of rows of `nIn` weights.
 * Throws ShapeError when a row is not whole blocks.
 */
export function panelBytes(dtype: DType, nIn: number): number {
  const { blockSize } = DTYPES[dtype];
  if (nIn % blockSize !== 0) {
    throw new ShapeError(`${dtype} weights: a row of ${nIn} is not whole blocks of ${blockSize}`);
  }
  const record = RECORD_BYTES[dtype];
  if (record !== undefined) return (BLOCK_PANEL_ROWS / RECORD_ROWS) * (nIn / blockSize) * record;
  return panelRows(dtype) * rowBytes(storedAs(dtype), nIn);
}

/**
 * Bytes of a packed matrix `[nOut, nIn]`.
 * Throws ShapeError when a row is not whole blocks, CapacityError when it does not fit the 4 GiB that WASM can address.
 */
export function packedBytes(dtype: DType, nOut: number, nIn: number): number {
  const nBytes = panelCount(dtype, nOut) * panelBytes(dtype, nIn);
  if (nBytes > 2 ** 32) {
    throw new CapacityError(
      `a ${dtype} matrix [${nOut}, ${nIn}] needs ${nBytes} bytes, WASM memory ends at ${2 ** 32}`,
    );
  }
  return nBytes;
}

/** Tokens and k of one block of a matrix product: as in kernels/linear_f32.ts. */
const BLOCK_TOKENS = 128;
const BLOCK_K = 512;

/** Rows that products with sums in float64 unpack at a time, once for all threads: whole panels of any format. */
export const WIDE_ROWS = 16;

/**
 * What products with q8 activations need at most, kernels/blocks/wide_product.ts: codes (i16) and scales of 16 blocks of 16 rows, sums
 * of 4 tokens, and 16 blocks of 128 tokens widened to i16, with a scale each.
 */
const CODED_SCRATCH_BYTES = 16 * 16 * (2 * BLOCK_SIZE + 4) + 4 * 4 * 16 + 16 * BLOCK_TOKENS * (2 * BLOCK_SIZE + 4);

/**
 * Bytes of scratch that the products with a matrix in this format need for rows of `nIn`, whatever the number of tokens. With
 * f32 activations that is one block of them, and (unless the weights are f32) one block of eight rows of weights unpacked to f32.
 */
export function linearScratchBytes(dtype: DType, nIn: number): number {
  const stored = storedAs(dtype);
  const nRows = BLOCK_TOKENS + (stored === 'f32' ? 0 : FLOAT_PANEL_ROWS);
  const nBytes = nRows * Math.min(nIn, BLOCK_K) * Float32Array.BYTES_PER_ELEMENT;
  return isBlockFormat(stored) ? Math.max(nBytes, CODED_SCRATCH_BYTES) : nBytes;
}

/** Tokens whose quantized blocks interleave: as in kernels/blocks/q8_record.ts. */
export const GROUP_TOKENS = 4;

/**
 * Bytes of `nTokens` rows of `nIn` activations in blocks of 32 as `quantizeRowsQ8` of a build writes them, or of 256 as
 * `quantizeRowsQ8Super` does: whole groups of tokens, unless there are fewer tokens than one. nIn: a multiple of blockSize.
 */
export function quantizedRowsBytes(
  build: keyof typeof ACTIVATION_BLOCK_BYTES,
  nTokens: number,
  nIn: number,
  blockSize: number = BLOCK_SIZE,
): number {
  const nRows = nTokens < GROUP_TOKENS ? nTokens : Math.ceil(nTokens / GROUP_TOKENS) * GROUP_TOKENS;
  const record = blockSize === SUPER_BLOCK_SIZE ? SUPER_ACTIVATION_BLOCK_BYTES : ACTIVATION_BLOCK_BYTES;
  return nRows * (nIn / blockSize) * record[build];
}

/** Floats from one score row to the next, for rows of up to `nPositions`: whole key blocks. */
export function scoreStride(nPositions: number): number {
  return roundUpToBlock(nPositions);
}

/** One stretch of a cache as attendF32 takes it: i32 first row, i32 rows, u32 keys, u32 values, u32 bytes between kv heads. */
export const RUN_WORDS = 5;

/** Tokens that attendF32 works on at a time: as in kernels/attend_f32.ts. */
export const ATTEND_TOKENS = 16;

/** With fewer tokens than that attendF32 may work on all heads at once: as in kernels/attend_f32.ts. */
const TILED_TOKENS = 4;

/**
 * Bytes of scratch that attendF32 needs for scores: of one tile of tokens x one group of heads, or of few tokens x nHeads. It never falls
 * as nTokens rises: what a batch needs is enough for each of its sequences, which may have a token each.
 */
export function attendScratchBytes(nTokens: number, nHeads: number, group: number, stride: number): number {
  const nRows = Math.max(Math.min(nTokens, ATTEND_TOKENS) * group, Math.min(nTokens, TILED_TOKENS - 1) * nHeads);
  return nRows * stride * Float32Array.BYTES_PER_ELEMENT;
}
