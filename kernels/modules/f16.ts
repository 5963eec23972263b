// Weights in f16. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedF16 } from '../embed_f16';
export { linearF16 } from '../linear_f16';
export { repackF16 } from '../repack_f16';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
