/**
 * The closed list of number formats that a weight can be stored in, and that the engine computes with.
 *
 *   name   block   bytes a block    what a block holds
 *   f32        1    4               IEEE 754 binary32
 *   f16        1    2               IEEE 754 binary16
 *   bf16       1    2               the upper half of a binary32
 *   q8_0      32   34               f16 scale d, 32 x i8 code:    w = d * code
 *   q4_0      32   18               f16 scale d, 32 x 4-bit code: w = d * (code - 8)
 *
 * `src/quant/<name>.ts` has the drawing of each block's bytes. All are little-endian.
 */
export type DType = 'f32' | 'f16' | 'bf16' | 'q8_0' | 'q4_0';

export interface DTypeInfo {
  /** Elements that share one block; rows must be a multiple of this. */
  readonly blockSize: number;
  /** Bytes that one block takes in a file. */
  readonly blockBytes: number;
}

export const DTYPES: Readonly<Record<DType, DTypeInfo>> = {
  f32: { blockSize: 1, blockBytes: 4 },
  f16: { blockSize: 1, blockBytes: 2 },
  bf16: { blockSize: 1, blockBytes: 2 },
  q8_0: { blockSize: 32, blockBytes: 34 },
  q4_0: { blockSize: 32, blockBytes: 18 },
};

/** Block formats are those in which several weights share one scale. */
export function isBlockFormat(dtype: DType): boolean {
  return DTYPES[dtype].blockSize > 1;
}

/** Bytes of one row of `nElements` weights; nElements must be a multiple of the block size. */
export function rowBytes(dtype: DType, nElements: number): number {
  const { blockSize, blockBytes } = DTYPES[dtype];
  return (nElements / blockSize) * blockBytes;
}
