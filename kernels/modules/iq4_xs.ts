// Weights in iq4_xs. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedIq4Xs } from '../embed_iq4_xs';
export { linearIq4XsF32 } from '../linear_iq4_xs_f32';
export { linearIq4XsQ8 } from '../linear_iq4_xs_q8';
export { repackIq4Xs } from '../repack_iq4_xs';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
