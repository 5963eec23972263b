import { DTYPES } from '../core/dtype.ts';
import { packBf16, unpackBf16, worstCaseErrorBf16 } from './bf16.ts';
import { packF16, unpackF16, worstCaseErrorF16 } from './f16.ts';
import { packF32, unpackF32, worstCaseErrorF32 } from './f32.ts';
import type { Format } from './formats.ts';
import { IQ1_M_BLOCK, unpackIQ1_M } from './iq1_m.ts';
import { IQ1_S_BLOCK, unpackIQ1_S } from './iq1_s.ts';
import { IQ2_S_BLOCK, unpackIQ2_S } from './iq2_s.ts';
import { IQ2_XS_BLOCK, unpackIQ2_XS } from './iq2_xs.ts';
import { IQ2_XXS_BLOCK, unpackIQ2_XXS } from './iq2_xxs.ts';
import { IQ3_S_BLOCK, unpackIQ3_S } from './iq3_s.ts';
import { IQ3_XXS_BLOCK, unpackIQ3_XXS } from './iq3_xxs.ts';
import { IQ4_NL_BLOCK, packIQ4_NL, unpackIQ4_NL } from './iq4_nl.ts';
import { IQ4_XS_BLOCK, packIQ4_XS, unpackIQ4_XS } from './iq4_xs.ts';
import { MXFP4_BLOCK, packMXFP4, unpackMXFP4, worstCaseErrorMXFP4 } from './mxfp4.ts';
import { NVFP4_BLOCK, packNVFP4, unpackNVFP4, worstCaseErrorNVFP4 } from './nvfp4.ts';
import { packQ1_0, Q1_0_BLOCK, unpackQ1_0, worstCaseErrorQ1_0 } from './q1_0.ts';
import { packQ2_0, Q2_0_BLOCK, unpackQ2_0, worstCaseErrorQ2_0 } from './q2_0.ts';
import { packQ2_K, Q2_K_BLOCK, unpackQ2_K } from './q2_k.ts';
import { packQ3_K, Q3_K_BLOCK, unpackQ3_K } from './q3_k.ts';
import { packQ4_0, unpackQ4_0, worstCaseErrorQ4_0 } from './q4_0.ts';
import { packQ4_1, Q4_1_BLOCK, unpackQ4_1, worstCaseErrorQ4_1 } from './q4_1.ts';
import { packQ4_K, Q4_K_BLOCK, unpackQ4_K } from './q4_k.ts';
import { packQ5_0, Q5_0_BLOCK, unpackQ5_0, worstCaseErrorQ5_0 } from './q5_0.ts';
import { packQ5_1, Q5_1_BLOCK, unpackQ5_1, worstCaseErrorQ5_1 } from './q5_1.ts';
import { packQ5_K, Q5_K_BLOCK, unpackQ5_K } from './q5_k.ts';
import { packQ6_K, Q6_K_BLOCK, unpackQ6_K } from './q6_k.ts';
import { packQ8_0, unpackQ8_0, worstCaseErrorQ8_0 } from './q8_0.ts';
import { packQ8_1, Q8_1_BLOCK, unpackQ8_1, worstCaseErrorQ8_1 } from './q8_1.ts';
import { packQ8_K, Q8_K_BLOCK, unpackQ8_K, worstCaseErrorQ8_K } from './q8_k.ts';
import { packTQ1_0, TQ1_0_BLOCK, unpackTQ1_0, worstCaseErrorTQ1_0 } from './tq1_0.ts';
import { packTQ2_0, TQ2_0_BLOCK, unpackTQ2_0, worstCaseErrorTQ2_0 } from './tq2_0.ts';

/**
 * Every format of ggml that holds weights, by ggml's name in lower case: how its bytes become f32 values, and back.
 *
 * Wider than `FORMATS`, which has the formats that the engine computes with: with this table any tensor of any GGUF file can be
 * looked at. Integer types and f64 are not in it, nor are types that ggml dropped.
 */
export interface GgmlFormat {
  /** Elements of a block: a row must be a multiple of it. */
  readonly blockSize: number;
  readonly blockBytes: number;
  /** As in `Format`. One rounding at most. */
  readonly unpack: Format['unpack'];
  /** As in `Format`, with the bytes of ggml's reference quantizer. Missing where the format can only be read here. */
  readonly pack?: Format['pack'];
  /** As in `Format`. Missing where the scales come out of a search: no bound is derived there. */
  readonly worstCaseError?: Format['worstCaseError'];
}

export const GGML_FORMATS = {
  f32: { ...DTYPES.f32, unpack: unpackF32, pack: packF32, worstCaseError: worstCaseErrorF32 },
  f16: { ...DTYPES.f16, unpack: unpackF16, pack: packF16, worstCaseError: worstCaseErrorF16 },
  bf16: { ...DTYPES.bf16, unpack: unpackBf16, pack: packBf16, worstCaseError: worstCaseErrorBf16 },
  q1_0: { ...Q1_0_BLOCK, unpack: unpackQ1_0, pack: packQ1_0, worstCaseError: worstCaseErrorQ1_0 },
  q2_0: { ...Q2_0_BLOCK, unpack: unpackQ2_0, pack: packQ2_0, worstCaseError: worstCaseErrorQ2_0 },
  q4_0: { ...DTYPES.q4_0, unpack: unpackQ4_0, pack: packQ4_0, worstCaseError: worstCaseErrorQ4_0 },
  q4_1: { ...Q4_1_BLOCK, unpack: unpackQ4_1, pack: packQ4_1, worstCaseError: worstCaseErrorQ4_1 },
  q5_0: { ...Q5_0_BLOCK, unpack: unpackQ5_0, pack: packQ5_0, worstCaseError: worstCaseErrorQ5_0 },
  q5_1: { ...Q5_1_BLOCK, unpack: unpackQ5_1, pack: packQ5_1, worstCaseError: worstCaseErrorQ5_1 },
  q8_0: { ...DTYPES.q8_0, unpack: unpackQ8_0, pack: packQ8_0, worstCaseError: worstCaseErrorQ8_0 },
  q8_1: { ...Q8_1_BLOCK, unpack: unpackQ8_1, pack: packQ8_1, worstCaseError: worstCaseErrorQ8_1 },
  q2_k: { ...Q2_K_BLOCK, unpack: unpackQ2_K, pack: packQ2_K },
  q3_k: { ...Q3_K_BLOCK, unpack: unpackQ3_K, pack: packQ3_K },
  q4_k: { ...Q4_K_BLOCK, unpack: unpackQ4_K, pack: packQ4_K },
  q5_k: { ...Q5_K_BLOCK, unpack: unpackQ5_K, pack: packQ5_K },
  q6_k: { ...Q6_K_BLOCK, unpack: unpackQ6_K, pack: packQ6_K },
  q8_k: { ...Q8_K_BLOCK, unpack: unpackQ8_K, pack: packQ8_K, worstCaseError: worstCaseErrorQ8_K },
  iq1_s: { ...IQ1_S_BLOCK, unpack: unpackIQ1_S },
  iq1_m: { ...IQ1_M_BLOCK, unpack: unpackIQ1_M },
  iq2_xxs: { ...IQ2_XXS_BLOCK, unpack: unpackIQ2_XXS },
  iq2_xs: { ...IQ2_XS_BLOCK, unpack: unpackIQ2_XS },
  iq2_s: { ...IQ2_S_BLOCK, unpack: unpackIQ2_S },
  iq3_xxs: { ...IQ3_XXS_BLOCK, unpack: unpackIQ3_XXS },
  iq3_s: { ...IQ3_S_BLOCK, unpack: unpackIQ3_S },
  iq4_nl: { ...IQ4_NL_BLOCK, unpack: unpackIQ4_NL, pack: packIQ4_NL },
  iq4_xs: { ...IQ4_XS_BLOCK, unpack: unpackIQ4_XS, pack: packIQ4_XS },
  tq1_0: { ...TQ1_0_BLOCK, unpack: unpackTQ1_0, pack: packTQ1_0, worstCaseError: worstCaseErrorTQ1_0 },
  tq2_0: { ...TQ2_0_BLOCK, unpack: unpackTQ2_0, pack: packTQ2_0, worstCaseError: worstCaseErrorTQ2_0 },
  mxfp4: { ...MXFP4_BLOCK, unpack: unpackMXFP4, pack: packMXFP4, worstCaseError: worstCaseErrorMXFP4 },
  nvfp4: { ...NVFP4_BLOCK, unpack: unpackNVFP4, pack: packNVFP4, worstCaseError: worstCaseErrorNVFP4 },
} as const satisfies Readonly<Record<string, GgmlFormat>>;

/** ggml's names of the formats above. */
export type GgmlFormatName = keyof typeof GGML_FORMATS;
