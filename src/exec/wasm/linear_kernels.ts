import type { DType } from '../../core/dtype.ts';
import type { Embed, Kernels, Linear, LinearQ8, Repack } from './kernels.ts';

/** The kernels that know one weight format. q8: undefined where weights have no integer codes. */
export interface FormatKernels {
  readonly f32: Linear;
  readonly q8: LinearQ8 | undefined;
  readonly repack: Repack;
  readonly embed: Embed;
}

export type LinearKernels = Readonly<Record<DType, FormatKernels>>;

export function linearKernels(k: Kernels): LinearKernels {
  return {
    f32: { f32: k.linearF32, q8: undefined, repack: k.repackF32, embed: k.embedF32 },
    f16: { f32: k.linearF16, q8: undefined, repack: k.repackF16, embed: k.embedF16 },
    bf16: { f32: k.linearBf16, q8: undefined, repack: k.repackBf16, embed: k.embedBf16 },
    q8_0: { f32: k.linearQ80F32, q8: k.linearQ80Q8, repack: k.repackQ80, embed: k.embedQ80 },
    q4_0: { f32: k.linearQ40F32, q8: k.linearQ40Q8, repack: k.repackQ40, embed: k.embedQ40 },
  };
}
