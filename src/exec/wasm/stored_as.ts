import type { DType } from '../../core/dtype.ts';
import { FORMAT_MODULES, type KernelFormat } from './format_kernels.ts';

/**
 * How a matrix of a file's format lies in WASM memory: as itself, or, where the format has no module, unpacked exactly to f32.
 * All formats that take quantized activations have one (format_kernels.ts): unpacked, they would have lost their codes.
 */
export function storedAs(dtype: DType): KernelFormat {
  return Object.hasOwn(FORMAT_MODULES, dtype) ? (dtype as KernelFormat) : 'f32';
}
