// Weights in q5_1. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ51 } from '../embed_q5_1';
export { linearQ51F32 } from '../linear_q5_1_f32';
export { linearQ51Q8 } from '../linear_q5_1_q8';
export { repackQ51 } from '../repack_q5_1';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
