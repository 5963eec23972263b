import type { DType } from '../core/dtype.ts';
import { type CodedDType, takesQ8 } from '../quant/codes.ts';
import type { Activations } from './linear.ts';

/**
 * The kernel of a product, by the name of its file in kernels/: the format that the weights are packed in, and for formats of
 * integer codes also what they are multiplied by, `q8` (activations rounded to int8 blocks) or `f32`.
 */
export type LinearKernel = 'linear_f32' | 'linear_f16' | 'linear_bf16' | `linear_${CodedDType}_${Activations}`;

/** What multiplies weights of this format. Formats that have neither codes nor a panel of their own are unpacked to f32 panels. */
export function linearKernelOf(dtype: DType, activations: Activations): LinearKernel {
  if (takesQ8(dtype)) return `linear_${dtype}_${activations}`;
  return dtype === 'f16' || dtype === 'bf16' ? `linear_${dtype}` : 'linear_f32';
}
