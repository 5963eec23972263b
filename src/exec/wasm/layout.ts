import { DTYPES, type DType, isBlockFormat, rowBytes } from '../../core/dtype.ts';
import { CapacityError, ShapeError } from '../../core/errors.ts';
import { roundUpToBlock } from '../../kvcache/layout.ts';
import { BLOCK_SIZE } from '../../quant/block.ts';
import { storedAs } from './stored_as.ts';

/**
 * How matrices lie in WASM memory. Lanes are outputs (rows of `[out, in]`), so rows are interleaved in panels:
 *
 *   f32, f16, bf16   panels of 8 rows:   [ceil(out / 8)][in][8 rows]
 *   q8_0, q4_0       panels of 16 rows:  [ceil(out / 16)][in / 32] records of 16 rows x 32 columns:
 *
 *     q8_0 record   4 groups of 4 rows x 128 bytes, [column / 4][row][column % 4], each byte code + 128;   544 bytes
 *                   then 16 f16 scales
 *     q4_0 record   4 groups of 4 rows x 64 bytes, [column / 4][row][column % 4] over columns 0..15: the   288 bytes
 *                   low nibble is column c, the high nibble column c + 16, each code + 8; then 16 f16 scales
 *
 * Nothing is added to what the file has: a panel takes the bytes of its rows. Rows beyond `out` in the last panel are zeros.
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
 * Bytes of `nTokens` rows of `nIn` activations as `quantizeRowsQ8` of a build writes them: whole groups of tokens, unless there
 * are fewer tokens than one. nIn: a multiple of 32.
 */
export function quantizedRowsBytes(build: keyof typeof ACTIVATION_BLOCK_BYTES, nTokens: number, nIn: number): number {
  const nRows = nTokens < GROUP_TOKENS ? nTokens : Math.ceil(nTokens / GROUP_TOKENS) * GROUP_TOKENS;
  return nRows * (nIn / BLOCK_SIZE) * ACTIVATION_BLOCK_BYTES[build];
}

/** Floats from one score row to the next, for rows of up to `nPositions`: whole key blocks. */
export function scoreStride(nPositions: number): number {
  return roundUpToBlock(nPositions);
}
