// Weights in q5_0. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ50 } from '../embed_q5_0';
export { linearQ50F32 } from '../linear_q5_0_f32';
export { linearQ50Q8 } from '../linear_q5_0_q8';
export { repackQ50 } from '../repack_q5_0';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
