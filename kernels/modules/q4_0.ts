// Weights in q4_0. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedQ40 } from '../embed_q4_0';
export { linearQ40F32 } from '../linear_q4_0_f32';
export { linearQ40Q8 } from '../linear_q4_0_q8';
export { linearQ40Q8Quads } from '../linear_q4_0_q8_quads';
export { repackQ40 } from '../repack_q4_0';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
