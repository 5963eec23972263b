// Weights in q3_k. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ3K } from '../embed_q3_k';
export { linearQ3KF32 } from '../linear_q3_k_f32';
export { linearQ3KQ8 } from '../linear_q3_k_q8';
export { repackQ3K } from '../repack_q3_k';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
