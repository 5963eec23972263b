import type { DType } from '../core/dtype.ts';
import { packBf16, unpackBf16, worstCaseErrorBf16 } from './bf16.ts';
import { packF16, unpackF16, worstCaseErrorF16 } from './f16.ts';
import { packF32, unpackF32, worstCaseErrorF32 } from './f32.ts';
import { packQ4_0, unpackQ4_0, worstCaseErrorQ4_0 } from './q4_0.ts';
import { packQ8_0, unpackQ8_0, worstCaseErrorQ8_0 } from './q8_0.ts';

/** How one dtype's bytes become f32 values, and back. Sizes are in `DTYPES`. */
export interface Format {
  /**
   * out[outOffset + i] = value of element i, for the n elements whose blocks start at byteOffset. One rounding at most.
   * Throws ShapeError when n is not whole blocks or a buffer is too short.
   */
  readonly unpack: (bytes: Uint8Array, byteOffset: number, out: Float32Array, outOffset: number, n: number) => void;
  /**
   * Stores x[from .. from + n) from byteOffset on.
   * Throws ShapeError as above; UnsupportedError when a block format meets NaN or an infinity.
   */
  readonly pack: (x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number) => void;
  /**
   * Largest |x - unpack(pack(x))| among finite elements that share a block (for unblocked formats: of one element), when
   * the largest magnitude in it is amax. Infinity where the format overflows.
   */
  readonly worstCaseError: (amax: number) => number;
}

export const FORMATS: Readonly<Record<DType, Format>> = {
  f32: { unpack: unpackF32, pack: packF32, worstCaseError: worstCaseErrorF32 },
  f16: { unpack: unpackF16, pack: packF16, worstCaseError: worstCaseErrorF16 },
  bf16: { unpack: unpackBf16, pack: packBf16, worstCaseError: worstCaseErrorBf16 },
  q8_0: { unpack: unpackQ8_0, pack: packQ8_0, worstCaseError: worstCaseErrorQ8_0 },
  q4_0: { unpack: unpackQ4_0, pack: packQ4_0, worstCaseError: worstCaseErrorQ4_0 },
};
