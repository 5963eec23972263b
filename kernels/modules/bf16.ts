// Weights in bf16. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedBf16 } from '../embed_bf16';
export { linearBf16 } from '../linear_bf16';
export { repackBf16 } from '../repack_bf16';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
