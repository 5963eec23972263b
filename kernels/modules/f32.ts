// Weights in f32. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedF32 } from '../embed_f32';
export { linearF32 } from '../linear_f32';
export { repackF32 } from '../repack_f32';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
