// Weights in q5_k. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ5K } from '../embed_q5_k';
export { linearQ5KF32 } from '../linear_q5_k_f32';
export { linearQ5KQ8 } from '../linear_q5_k_q8';
export { repackQ5K } from '../repack_q5_k';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
