/**
 * The closed list of number formats that a weight can be stored in: all of ggml's but integers and f64, under ggml's names
 * in lower case.
 *
 *   name                       block   bytes a block        what a block holds
 *   f32, f16, bf16                 1   4, 2, 2              one float
 *   q8_0 q4_0 q5_0                32   34, 18, 22           a scale d, codes c:               w = d * c
 *   q4_1 q5_1                     32   20, 24               and a minimum m:                  w = d * c + m
 *   iq4_nl mxfp4                  32   18, 17               codes stand for a table's values
 *   q3_k q6_k iq4_xs             256   110, 210, 136        and scales s of sub-blocks:       w = d * s * c
 *   q2_k q4_k q5_k               256   84, 144, 176         and minima m of sub-blocks:       w = d * s * c - dmin * m
 *   the rest                  32-256                        rare: see their files
 *
 * `src/quant/<name>.ts` has the drawing of each block's bytes. All are little-endian.
 */
export type DType =
  | 'f32'
  | 'f16'
  | 'bf16'
  | 'q1_0'
  | 'q2_0'
  | 'q4_0'
  | 'q4_1'
  | 'q5_0'
  | 'q5_1'
  | 'q8_0'
  | 'q8_1'
  | 'q2_k'
  | 'q3_k'
  | 'q4_k'
  | 'q5_k'
  | 'q6_k'
  | 'q8_k'
  | 'iq1_s'
  | 'iq1_m'
  | 'iq2_xxs'
  | 'iq2_xs'
  | 'iq2_s'
  | 'iq3_xxs'
  | 'iq3_s'
  | 'iq4_nl'
  | 'iq4_xs'
  | 'tq1_0'
  | 'tq2_0'
  | 'mxfp4'
  | 'nvfp4';

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
  q1_0: { blockSize: 128, blockBytes: 18 },
  q2_0: { blockSize: 64, blockBytes: 18 },
  q4_0: { blockSize: 32, blockBytes: 18 },
  q4_1: { blockSize: 32, blockBytes: 20 },
  q5_0: { blockSize: 32, blockBytes: 22 },
  q5_1: { blockSize: 32, blockBytes: 24 },
  q8_0: { blockSize: 32, blockBytes: 34 },
  q8_1: { blockSize: 32, blockBytes: 36 },
  q2_k: { blockSize: 256, blockBytes: 84 },
  q3_k: { blockSize: 256, blockBytes: 110 },
  q4_k: { blockSize: 256, blockBytes: 144 },
  q5_k: { blockSize: 256, blockBytes: 176 },
  q6_k: { blockSize: 256, blockBytes: 210 },
  q8_k: { blockSize: 256, blockBytes: 292 },
  iq1_s: { blockSize: 256, blockBytes: 50 },
  iq1_m: { blockSize: 256, blockBytes: 56 },
  iq2_xxs: { blockSize: 256, blockBytes: 66 },
  iq2_xs: { blockSize: 256, blockBytes: 74 },
  iq2_s: { blockSize: 256, blockBytes: 82 },
  iq3_xxs: { blockSize: 256, blockBytes: 98 },
  iq3_s: { blockSize: 256, blockBytes: 110 },
  iq4_nl: { blockSize: 32, blockBytes: 18 },
  iq4_xs: { blockSize: 256, blockBytes: 136 },
  tq1_0: { blockSize: 256, blockBytes: 54 },
  tq2_0: { blockSize: 256, blockBytes: 66 },
  mxfp4: { blockSize: 32, blockBytes: 17 },
  nvfp4: { blockSize: 64, blockBytes: 36 },
};

/** Every format, in ggml's order. */
export const ALL_DTYPES: readonly DType[] = Object.keys(DTYPES) as DType[];

/** Block formats are those in which several weights share one scale. */
export function isBlockFormat(dtype: DType): boolean {
  return DTYPES[dtype].blockSize > 1;
}

/** Bytes of one row of `nElements` weights; nElements must be a multiple of the block size. */
export function rowBytes(dtype: DType, nElements: number): number {
  const { blockSize, blockBytes } = DTYPES[dtype];
  return (nElements / blockSize) * blockBytes;
}
