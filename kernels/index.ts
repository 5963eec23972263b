// Every kernel of the module. The other side of this list is src/exec/wasm/kernels.ts.
export { addF32 } from './add_f32';
export { attendMixF32 } from './attend_mix_f32';
export { attendScoresF32 } from './attend_scores_f32';
export { embedBf16 } from './embed_bf16';
export { embedF16 } from './embed_f16';
export { embedF32 } from './embed_f32';
export { embedQ40 } from './embed_q4_0';
export { embedQ80 } from './embed_q8_0';
export { kvWriteKF32 } from './kv_write_k_f32';
export { kvWriteVF32 } from './kv_write_v_f32';
export { linearBf16 } from './linear_bf16';
export { linearF16 } from './linear_f16';
export { linearF32 } from './linear_f32';
export { linearQ40F32 } from './linear_q4_0_f32';
export { linearQ40Q8 } from './linear_q4_0_q8';
export { linearQ80F32 } from './linear_q8_0_f32';
export { linearQ80Q8 } from './linear_q8_0_q8';
export { mulF32 } from './mul_f32';
export { quantizeRowsQ8 } from './quantize_rows_q8';
export { repackBf16 } from './repack_bf16';
export { repackF16 } from './repack_f16';
export { repackF32 } from './repack_f32';
export { repackQ40 } from './repack_q4_0';
export { repackQ80 } from './repack_q8_0';
export { rmsNormF32 } from './rms_norm_f32';
export { ropeF32Halves } from './rope_f32_halves';
export { ropeF32Pairs } from './rope_f32_pairs';
export { siluF32 } from './silu_f32';
export { sliceF32 } from './slice_f32';
export { softmaxF32 } from './softmax_f32';
export { takeRowsF32 } from './take_rows_f32';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
