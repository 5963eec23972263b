// Weights in q4_1. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ41 } from '../embed_q4_1';
export { linearQ41F32 } from '../linear_q4_1_f32';
export { linearQ41Q8 } from '../linear_q4_1_q8';
export { repackQ41 } from '../repack_q4_1';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
