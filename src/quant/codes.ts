import type { DType } from '../core/dtype.ts';
import { assert } from '../core/errors.ts';
import type { CodedFormat } from './coded_block.ts';
import { IQ4_NL } from './iq4_nl.ts';
import { IQ4_XS } from './iq4_xs.ts';
import { MXFP4 } from './mxfp4.ts';
import { Q2_K } from './q2_k.ts';
import { Q3_K } from './q3_k.ts';
import { Q4_0 } from './q4_0.ts';
import { Q4_1 } from './q4_1.ts';
import { Q4_K } from './q4_k.ts';
import { Q5_0 } from './q5_0.ts';
import { Q5_1 } from './q5_1.ts';
import { Q5_K } from './q5_k.ts';
import { Q6_K } from './q6_k.ts';
import { Q8_0 } from './q8_0.ts';

/**
 * The formats whose weights a quantized `linear` multiplies as integers. All others are unpacked, also with activations 'q8':
 * floats have no codes, and the rare block formats are not worth a kernel each.
 */
const CODED_FORMATS = {
  q4_0: Q4_0,
  q4_1: Q4_1,
  q5_0: Q5_0,
  q5_1: Q5_1,
  q8_0: Q8_0,
  q2_k: Q2_K,
  q3_k: Q3_K,
  q4_k: Q4_K,
  q5_k: Q5_K,
  q6_k: Q6_K,
  iq4_nl: IQ4_NL,
  iq4_xs: IQ4_XS,
  mxfp4: MXFP4,
} as const satisfies Partial<Readonly<Record<DType, CodedFormat>>>;

/** A format that takes quantized activations. */
export type CodedDType = keyof typeof CODED_FORMATS;

/** In ggml's order. */
export const CODED_DTYPES: readonly CodedDType[] = Object.keys(CODED_FORMATS) as CodedDType[];

/** True where `linear` with activations 'q8' quantizes them; with other formats it takes them as they are. */
export function takesQ8(dtype: DType): dtype is CodedDType {
  return Object.hasOwn(CODED_FORMATS, dtype);
}

/** How a block of the format comes apart. The caller has asked `takesQ8`. */
export function codedFormat(dtype: DType): CodedFormat {
  assert(takesQ8(dtype), `${dtype} weights are made of integer codes`);
  return CODED_FORMATS[dtype];
}
