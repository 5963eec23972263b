import { ShapeError } from '../core/errors.ts';
import { showShape } from '../core/shape.ts';
import { rowsOf, stacked } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { ggufNames, LLAMA_NAMES } from '../load/names.ts';
import { transposed } from '../load/transposed.ts';
import type { Tensors } from './architecture.ts';
import type { DeepseekConfig } from './deepseek_config.ts';
import { stackExperts } from './expert_tensors.ts';
import { renamed } from './hf_tensors.ts';

/** A bias without "weight" or "bias" behind its name, of V3's routers. */
const ROUTER_BIAS = /^model\.layers\.(\d+)\.mlp\.gate\.e_score_correction_bias$/;

const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [
    ...LLAMA_NAMES.layer,
    ['self_attn.q_a_proj', 'attn_q_a'],
    ['self_attn.q_a_layernorm', 'attn_q_a_norm'],
    ['self_attn.q_b_proj', 'attn_q_b'],
    ['self_attn.kv_a_proj_with_mqa', 'attn_kv_a_mqa'],
    ['self_attn.kv_a_layernorm', 'attn_kv_a_norm'],
    ['self_attn.kv_b_proj', 'attn_kv_b'],
    ['mlp.gate', 'ffn_gate_inp'],
    ['mlp.shared_experts.gate_proj', 'ffn_gate_shexp'],
    ['mlp.shared_experts.up_proj', 'ffn_up_shexp'],
    ['mlp.shared_experts.down_proj', 'ffn_down_shexp'],
  ],
});

/**
 * The tensors of a DeepSeek folder under their GGUF names. Experts are stacked; of kv_b_proj, whose rows are each head's keys and then
 * its values, the keys' rows are turned around (attn_k_b, [nHeads, latentDim, keyDim]), the values' are as they were (attn_v_b).
 * Throws UnsupportedError for a name that has no place, ShapeError for an expert that is missing and for a kv_b_proj of another shape.
 */
export function deepseekTensorsFromHf(tensors: Tensors, config: DeepseekConfig): Tensors {
  const { stacks, others } = stackExperts(tensors, {
    module: 'mlp',
    parts: [
      ['gate_proj', 'ffn_gate_exps'],
      ['up_proj', 'ffn_up_exps'],
      ['down_proj', 'ffn_down_exps'],
    ],
    nExperts: config.experts.nExperts,
  });
  const result = new Map<string, TensorInfo>(stacks);
  for (const [name, info] of [...others]) {
    const layer = ROUTER_BIAS.exec(name)?.[1];
    if (layer === undefined) continue;
    result.set(`blk.${layer}.exp_probs_b.bias`, info);
    others.delete(name);
  }
  for (const [name, info] of renamed(others, nameOf, 'DeepSeek')) {
    const layer = /^(blk\.\d+)\.attn_kv_b\.weight$/.exec(name)?.[1];
    if (layer === undefined) result.set(name, info);
    else
      for (const [part, matrix] of Object.entries(apart(info, config))) result.set(`${layer}.${part}.weight`, matrix);
  }
  return result;
}

function apart(
  info: TensorInfo,
  { nHeads, keyDim, valueDim, latentDim }: DeepseekConfig,
): { readonly attn_k_b: TensorInfo; readonly attn_v_b: TensorInfo } {
  const height = keyDim + valueDim;
  if (info.shape.length !== 2 || info.shape[0] !== nHeads * height || info.shape[1] !== latentDim) {
    throw new ShapeError(
      `tensor ${info.name} is ${showShape(info.shape)}, the config asks for ${showShape([nHeads * height, latentDim])}`,
    );
  }
  const heads = Array.from({ length: nHeads }, (_, head) => head * height);
  return {
    attn_k_b: stacked(
      heads.map((from) => transposed(rowsOf(info, from, keyDim))),
      'new axis',
    ),
    attn_v_b: stacked(
      heads.map((from) => rowsOf(info, from + keyDim, valueDim)),
      'new axis',
    ),
  };
}
