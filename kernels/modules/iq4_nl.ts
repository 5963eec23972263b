// Weights in iq4_nl. The other side of this list is a line of src/exec/wasm/format_kernels.ts.
export { embedIq4Nl } from '../embed_iq4_nl';
export { linearIq4NlF32 } from '../linear_iq4_nl_f32';
export { linearIq4NlQ8 } from '../linear_iq4_nl_q8';
export { repackIq4Nl } from '../repack_iq4_nl';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
