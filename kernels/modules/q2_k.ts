// Weights in q2_k. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ2K } from '../embed_q2_k';
export { linearQ2KF32 } from '../linear_q2_k_f32';
export { linearQ2KQ8 } from '../linear_q2_k_q8';
export { repackQ2K } from '../repack_q2_k';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
