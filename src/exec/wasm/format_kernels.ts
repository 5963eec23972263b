import type { CodedDType } from '../../quant/codes.ts';
import {
  checkedExport,
  type DotForm,
  type Embed,
  type FormatKernels,
  type Linear,
  type LinearQ8,
  type Repack,
} from './kernels.ts';

interface ExportNames {
  readonly repack: string;
  readonly embed: string;
  readonly f32: string;
  readonly q8?: string;
  /** The same kernel with products summed as quads: dot_form.ts. */
  readonly q8Quads?: string;
}

/** A format with quantized products must have their kernel. */
type CodedNames = ExportNames & { readonly q8: string };
type FloatDType = 'f32' | 'f16' | 'bf16';

/** The formats that have a module, kernels/modules/<dtype>.ts, and the names of its kernels. */
export const FORMAT_MODULES = {
  f32: { repack: 'repackF32', embed: 'embedF32', f32: 'linearF32' },
  f16: { repack: 'repackF16', embed: 'embedF16', f32: 'linearF16' },
  bf16: { repack: 'repackBf16', embed: 'embedBf16', f32: 'linearBf16' },
  q8_0: { repack: 'repackQ80', embed: 'embedQ80', f32: 'linearQ80F32', q8: 'linearQ80Q8', q8Quads: 'linearQ80Q8Quads' },
  q4_0: { repack: 'repackQ40', embed: 'embedQ40', f32: 'linearQ40F32', q8: 'linearQ40Q8', q8Quads: 'linearQ40Q8Quads' },
  q4_k: { repack: 'repackQ4K', embed: 'embedQ4K', f32: 'linearQ4KF32', q8: 'linearQ4KQ8' },
  q6_k: { repack: 'repackQ6K', embed: 'embedQ6K', f32: 'linearQ6KF32', q8: 'linearQ6KQ8' },
  q5_k: { repack: 'repackQ5K', embed: 'embedQ5K', f32: 'linearQ5KF32', q8: 'linearQ5KQ8' },
  q2_k: { repack: 'repackQ2K', embed: 'embedQ2K', f32: 'linearQ2KF32', q8: 'linearQ2KQ8' },
  q3_k: { repack: 'repackQ3K', embed: 'embedQ3K', f32: 'linearQ3KF32', q8: 'linearQ3KQ8' },
  iq4_xs: { repack: 'repackIq4Xs', embed: 'embedIq4Xs', f32: 'linearIq4XsF32', q8: 'linearIq4XsQ8' },
  q4_1: { repack: 'repackQ41', embed: 'embedQ41', f32: 'linearQ41F32', q8: 'linearQ41Q8' },
  q5_0: { repack: 'repackQ50', embed: 'embedQ50', f32: 'linearQ50F32', q8: 'linearQ50Q8' },
  q5_1: { repack: 'repackQ51', embed: 'embedQ51', f32: 'linearQ51F32', q8: 'linearQ51Q8' },
  iq4_nl: { repack: 'repackIq4Nl', embed: 'embedIq4Nl', f32: 'linearIq4NlF32', q8: 'linearIq4NlQ8' },
  mxfp4: { repack: 'repackMxfp4', embed: 'embedMxfp4', f32: 'linearMxfp4F32', q8: 'linearMxfp4Q8' },
} as const satisfies Readonly<Record<FloatDType, ExportNames> & Record<CodedDType, CodedNames>>;

/** A format that has a module. */
export type KernelFormat = keyof typeof FORMAT_MODULES;

/** Parameters of each kind of kernel. */
const ARITY: Readonly<Record<keyof FormatKernels, number>> = { repack: 4, embed: 5, f32: 11, q8: 10 };

/** Names of a format's exports, `q8` being the one for the given form. */
export function exportNames(dtype: KernelFormat, form: DotForm): ExportNames {
  const names: ExportNames = FORMAT_MODULES[dtype];
  return form === 'quads' && names.q8Quads !== undefined ? { ...names, q8: names.q8Quads } : names;
}

/**
 * The exports of a format's module as a typed table.
 * Throws KernelError naming the first kernel that is missing or has another number of parameters.
 */
export function formatKernels(
  dtype: KernelFormat,
  exports: WebAssembly.Exports,
  moduleName: string,
  form: DotForm = 'pairs',
): FormatKernels {
  const names = exportNames(dtype, form);
  if (names.q8Quads !== undefined) checkedExport(exports, moduleName, names.q8Quads, ARITY.q8);
  const kernel = (kind: keyof FormatKernels, name: string) => checkedExport(exports, moduleName, name, ARITY[kind]);
  return {
    repack: kernel('repack', names.repack) as Repack,
    embed: kernel('embed', names.embed) as Embed,
    f32: kernel('f32', names.f32) as Linear,
    q8: names.q8 === undefined ? undefined : (kernel('q8', names.q8) as LinearQ8),
  };
}
