// Weights in mxfp4. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedMxfp4 } from '../embed_mxfp4';
export { linearMxfp4F32 } from '../linear_mxfp4_f32';
export { linearMxfp4Q8 } from '../linear_mxfp4_q8';
export { repackMxfp4 } from '../repack_mxfp4';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
