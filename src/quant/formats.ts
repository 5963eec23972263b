import { DTYPES, type DType, type DTypeInfo } from '../core/dtype.ts';
import { packBf16, unpackBf16, worstCaseErrorBf16 } from './bf16.ts';
import { packF16, unpackF16, worstCaseErrorF16 } from './f16.ts';
import { packF32, unpackF32, worstCaseErrorF32 } from './f32.ts';
import { unpackIQ1_M } from './iq1_m.ts';
import { unpackIQ1_S } from './iq1_s.ts';
import { unpackIQ2_S } from './iq2_s.ts';
import { unpackIQ2_XS } from './iq2_xs.ts';
import { unpackIQ2_XXS } from './iq2_xxs.ts';
import { unpackIQ3_S } from './iq3_s.ts';
import { unpackIQ3_XXS } from './iq3_xxs.ts';
import { packIQ4_NL, unpackIQ4_NL } from './iq4_nl.ts';
import { packIQ4_XS, unpackIQ4_XS } from './iq4_xs.ts';
import { packMXFP4, unpackMXFP4, worstCaseErrorMXFP4 } from './mxfp4.ts';
import { packNVFP4, unpackNVFP4, worstCaseErrorNVFP4 } from './nvfp4.ts';
import { packQ1_0, unpackQ1_0, worstCaseErrorQ1_0 } from './q1_0.ts';
import { packQ2_0, unpackQ2_0, worstCaseErrorQ2_0 } from './q2_0.ts';
import { packQ2_K, unpackQ2_K } from './q2_k.ts';
import { packQ3_K, unpackQ3_K } from './q3_k.ts';
import { packQ4_0, unpackQ4_0, worstCaseErrorQ4_0 } from './q4_0.ts';
import { packQ4_1, unpackQ4_1, worstCaseErrorQ4_1 } from './q4_1.ts';
import { packQ4_K, unpackQ4_K } from './q4_k.ts';
import { packQ5_0, unpackQ5_0, worstCaseErrorQ5_0 } from './q5_0.ts';
import { packQ5_1, unpackQ5_1, worstCaseErrorQ5_1 } from './q5_1.ts';
import { packQ5_K, unpackQ5_K } from './q5_k.ts';
import { packQ6_K, unpackQ6_K } from './q6_k.ts';
import { packQ8_0, unpackQ8_0, worstCaseErrorQ8_0 } from './q8_0.ts';
import { packQ8_1, unpackQ8_1, worstCaseErrorQ8_1 } from './q8_1.ts';
import { packQ8_K, unpackQ8_K, worstCaseErrorQ8_K } from './q8_k.ts';
import { packTQ1_0, unpackTQ1_0, worstCaseErrorTQ1_0 } from './tq1_0.ts';
import { packTQ2_0, unpackTQ2_0, worstCaseErrorTQ2_0 } from './tq2_0.ts';

/** How one dtype's bytes become f32 values, and back. */
export interface Format extends DTypeInfo {
  /**
   * out[outOffset + i] = value of element i, for the n elements whose blocks start at byteOffset. One rounding at most.
   * Throws ShapeError when n is not whole blocks or a buffer is too short.
   */
  readonly unpack: (bytes: Uint8Array, byteOffset: number, out: Float32Array, outOffset: number, n: number) => void;
  /**
   * Stores x[from .. from + n) from byteOffset on, with the bytes of ggml's reference quantizer. Missing where the format
   * can only be read here.
   * Throws ShapeError as above; UnsupportedError when a block format meets NaN or an infinity.
   */
  readonly pack?: (x: Float32Array, from: number, n: number, bytes: Uint8Array, byteOffset: number) => void;
  /**
   * Largest |x - unpack(pack(x))| among finite elements that share a block (for unblocked formats: of one element), when
   * the largest magnitude in it is amax. Infinity where the format overflows. Missing where the scales come out of a search:
   * no bound is derived there.
   */
  readonly worstCaseError?: (amax: number) => number;
}

export const FORMATS = {
  f32: { ...DTYPES.f32, unpack: unpackF32, pack: packF32, worstCaseError: worstCaseErrorF32 },
  f16: { ...DTYPES.f16, unpack: unpackF16, pack: packF16, worstCaseError: worstCaseErrorF16 },
  bf16: { ...DTYPES.bf16, unpack: unpackBf16, pack: packBf16, worstCaseError: worstCaseErrorBf16 },
  q1_0: { ...DTYPES.q1_0, unpack: unpackQ1_0, pack: packQ1_0, worstCaseError: worstCaseErrorQ1_0 },
  q2_0: { ...DTYPES.q2_0, unpack: unpackQ2_0, pack: packQ2_0, worstCaseError: worstCaseErrorQ2_0 },
  q4_0: { ...DTYPES.q4_0, unpack: unpackQ4_0, pack: packQ4_0, worstCaseError: worstCaseErrorQ4_0 },
  q4_1: { ...DTYPES.q4_1, unpack: unpackQ4_1, pack: packQ4_1, worstCaseError: worstCaseErrorQ4_1 },
  q5_0: { ...DTYPES.q5_0, unpack: unpackQ5_0, pack: packQ5_0, worstCaseError: worstCaseErrorQ5_0 },
  q5_1: { ...DTYPES.q5_1, unpack: unpackQ5_1, pack: packQ5_1, worstCaseError: worstCaseErrorQ5_1 },
  q8_0: { ...DTYPES.q8_0, unpack: unpackQ8_0, pack: packQ8_0, worstCaseError: worstCaseErrorQ8_0 },
  q8_1: { ...DTYPES.q8_1, unpack: unpackQ8_1, pack: packQ8_1, worstCaseError: worstCaseErrorQ8_1 },
  q2_k: { ...DTYPES.q2_k, unpack: unpackQ2_K, pack: packQ2_K },
  q3_k: { ...DTYPES.q3_k, unpack: unpackQ3_K, pack: packQ3_K },
  q4_k: { ...DTYPES.q4_k, unpack: unpackQ4_K, pack: packQ4_K },
  q5_k: { ...DTYPES.q5_k, unpack: unpackQ5_K, pack: packQ5_K },
  q6_k: { ...DTYPES.q6_k, unpack: unpackQ6_K, pack: packQ6_K },
  q8_k: { ...DTYPES.q8_k, unpack: unpackQ8_K, pack: packQ8_K, worstCaseError: worstCaseErrorQ8_K },
  iq1_s: { ...DTYPES.iq1_s, unpack: unpackIQ1_S },
  iq1_m: { ...DTYPES.iq1_m, unpack: unpackIQ1_M },
  iq2_xxs: { ...DTYPES.iq2_xxs, unpack: unpackIQ2_XXS },
  iq2_xs: { ...DTYPES.iq2_xs, unpack: unpackIQ2_XS },
  iq2_s: { ...DTYPES.iq2_s, unpack: unpackIQ2_S },
  iq3_xxs: { ...DTYPES.iq3_xxs, unpack: unpackIQ3_XXS },
  iq3_s: { ...DTYPES.iq3_s, unpack: unpackIQ3_S },
  iq4_nl: { ...DTYPES.iq4_nl, unpack: unpackIQ4_NL, pack: packIQ4_NL },
  iq4_xs: { ...DTYPES.iq4_xs, unpack: unpackIQ4_XS, pack: packIQ4_XS },
  tq1_0: { ...DTYPES.tq1_0, unpack: unpackTQ1_0, pack: packTQ1_0, worstCaseError: worstCaseErrorTQ1_0 },
  tq2_0: { ...DTYPES.tq2_0, unpack: unpackTQ2_0, pack: packTQ2_0, worstCaseError: worstCaseErrorTQ2_0 },
  mxfp4: { ...DTYPES.mxfp4, unpack: unpackMXFP4, pack: packMXFP4, worstCaseError: worstCaseErrorMXFP4 },
  nvfp4: { ...DTYPES.nvfp4, unpack: unpackNVFP4, pack: packNVFP4, worstCaseError: worstCaseErrorNVFP4 },
} as const satisfies Readonly<Record<DType, Format>>;

/** The formats that have a quantizer. */
export type PackableDType = { [K in DType]: (typeof FORMATS)[K] extends { pack: unknown } ? K : never }[DType];
