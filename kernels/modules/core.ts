// Kernels that know no weight format: every model runs with them. The other side of this list is src/exec/wasm/kernels.ts.
export { addBiasF32 } from '../add_bias_f32';
export { addF32 } from '../add_f32';
export { attendF32 } from '../attend_f32';
export { attendMixF32 } from '../attend_mix_f32';
export { attendScoresF32 } from '../attend_scores_f32';
export { attendScoresF32Wide } from '../attend_scores_f32_wide';
export { attendSumsF32 } from '../attend_sums_f32';
export { concatF32 } from '../concat_f32';
export { expertSumF32 } from '../expert_sum_f32';
export { gegluF32 } from '../geglu_f32';
export { gegluTanhF32 } from '../geglu_tanh_f32';
export { geluF32 } from '../gelu_f32';
export { geluTanhF32 } from '../gelu_tanh_f32';
export { kvPackQ40 } from '../kv_pack_q4_0';
export { kvPackQ80 } from '../kv_pack_q8_0';
export { kvUnpackQ40 } from '../kv_unpack_q4_0';
export { kvUnpackQ80 } from '../kv_unpack_q8_0';
export { kvWriteKF32 } from '../kv_write_k_f32';
export { kvWriteVF32 } from '../kv_write_v_f32';
export { layerNormF32 } from '../layer_norm_f32';
export { layerNormQ8 } from '../layer_norm_q8';
export { linearF32Wide } from '../linear_f32_wide';
export { mulF32 } from '../mul_f32';
export { positionBiasF32 } from '../position_bias_f32';
export { quantizeRowsQ8 } from '../quantize_rows_q8';
export { quantizeRowsQ8Super } from '../quantize_rows_q8_super';
export { quickGeluF32 } from '../quick_gelu_f32';
export { reluF32 } from '../relu_f32';
export { residualNormF32 } from '../residual_norm_f32';
export { residualNormQ8 } from '../residual_norm_q8';
export { rmsNormF32 } from '../rms_norm_f32';
export { rmsNormQ8 } from '../rms_norm_q8';
export { ropeF32Halves } from '../rope_f32_halves';
export { ropeF32Pairs } from '../rope_f32_pairs';
export { ropeWriteKF32 } from '../rope_write_k_f32';
export { scaleF32 } from '../scale_f32';
export { sigmoidF32 } from '../sigmoid_f32';
export { siluF32 } from '../silu_f32';
export { siluFastF32 } from '../silu_fast_f32';
export { sliceF32 } from '../slice_f32';
export { softCapF32 } from '../soft_cap_f32';
export { softmaxF32 } from '../softmax_f32';
export { swigluF32 } from '../swiglu_f32';
export { swigluFastF32 } from '../swiglu_fast_f32';
export { takeRowsF32 } from '../take_rows_f32';
export { tanhF32 } from '../tanh_f32';

/** First byte after the module's own constants. */
export function heapBase(): usize {
  return __heap_base;
}
