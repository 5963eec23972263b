// Weights in q6_k. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ6K } from '../embed_q6_k';
export { linearQ6KF32 } from '../linear_q6_k_f32';
export { linearQ6KQ8 } from '../linear_q6_k_q8';
export { repackQ6K } from '../repack_q6_k';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
