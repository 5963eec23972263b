// Weights in q4_k. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ4K } from '../embed_q4_k';
export { linearQ4KF32 } from '../linear_q4_k_f32';
export { linearQ4KQ8 } from '../linear_q4_k_q8';
export { repackQ4K } from '../repack_q4_k';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
