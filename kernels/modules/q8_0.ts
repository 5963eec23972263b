// Weights in q8_0. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ80 } from '../embed_q8_0';
export { linearQ80F32 } from '../linear_q8_0_f32';
export { linearQ80Q8 } from '../linear_q8_0_q8';
export { linearQ80Q8Quads } from '../linear_q8_0_q8_quads';
export { repackQ80 } from '../repack_q8_0';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
