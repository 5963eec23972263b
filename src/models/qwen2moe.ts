import { getCount, type Metadata } from '../core/metadata.ts';
import type { ValueId } from '../graph/ir.ts';
import { ggufNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import type { createBlocks } from './blocks.ts';
import type { LlamaConfig } from './config.ts';
import { needSize } from './config_checks.ts';
import { expertFeedForward, sharedExpert } from './expert_blocks.ts';
import {
  type ExpertsConfig,
  expertsFact,
  optionalBool,
  softmaxExpertsFromGguf,
  softmaxExpertsFromHf,
} from './experts_config.ts';
import { number, refuse } from './hf_config.ts';
import { commonConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf, refuseWindows } from './llama_hf.ts';
import { qwenMoeTensorsFromHf, refusePlainLayers } from './qwen_experts.ts';
import { buildQwen2 } from './qwen2.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import { ropeAt, ropeFact } from './rope_config.ts';

export interface Qwen2MoeConfig extends LlamaConfig {
  readonly experts: ExpertsConfig;
  /** Width of the expert that all rows use. */
  readonly sharedDim: number;
}

const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [
    ...LLAMA_NAMES.layer,
    ['mlp.gate', 'ffn_gate_inp'],
    ['mlp.shared_expert_gate', 'ffn_gate_inp_shexp'],
    ['mlp.shared_expert.gate_proj', 'ffn_gate_shexp'],
    ['mlp.shared_expert.up_proj', 'ffn_up_shexp'],
    ['mlp.shared_expert.down_proj', 'ffn_down_shexp'],
  ],
});

/** Qwen1.5-MoE and Qwen2-57B-A14B: the attention of Qwen 2, and in each layer a feed-forward of experts and one that all rows use. */
export const qwen2Moe: Architecture = {
  async fromGguf({ metadata }) {
    refuseGgufKeys(metadata, 'qwen2moe');
    const config = commonConfigFromGguf(metadata, 'qwen2moe', 'halves', undefined, undefined, 'experts');
    return decoder({ ...config, ...expertsFromGguf(metadata, config.hiddenDim) });
  },
  tensorsOf: gatesAsMatrices,
  fromHf(hf) {
    refuseWindows(hf);
    refuse(hf, 'qkv_bias', [true], 'Qwen 2');
    refusePlainLayers(hf, 'Qwen 2');
    const { num_experts: _ofExperts, ...shared } = hf; // which plain models refuse
    const keys = { nExperts: 'num_experts', hiddenDim: 'moe_intermediate_size' };
    const experts = softmaxExpertsFromHf(hf, keys, optionalBool(hf, 'norm_topk_prob', false));
    const sharedDim = number(hf, 'shared_expert_intermediate_size');
    return decoder({ ...plainConfigFromHf(shared, 'Qwen 2'), experts, sharedDim });
  },
  hfTensors: (tensors, hf) => qwenMoeTensorsFromHf(tensors, hf, nameOf),
};

/**
 * Files of the first converters have neither width: all experts that a row uses are as wide as a feed-forward together, and so is the
 * shared one.  Source: llama.cpp, src/llama-model.cpp, LLM_ARCH_QWEN2MOE; there weights are never normalized.
 */
function expertsFromGguf(meta: Metadata, hiddenDim: number): Pick<Qwen2MoeConfig, 'experts' | 'sharedDim'> {
  const nUsed = getCount(meta, 'qwen2moe.expert_used_count') ?? 1;
  const expertDim = getCount(meta, 'qwen2moe.expert_feed_forward_length') ?? Math.floor(hiddenDim / nUsed);
  const experts = softmaxExpertsFromGguf(meta, 'qwen2moe', expertDim, false, ['shared_feed_forward_length']);
  return { experts, sharedDim: getCount(meta, 'qwen2moe.expert_shared_feed_forward_length') ?? hiddenDim };
}

/** The shared expert's gate has one output: a vector in GGUF files, a matrix [1, dim] in folders. */
function gatesAsMatrices(tensors: Tensors): Tensors {
  return new Map(
    [...tensors].map(([name, info]) => {
      const isVector = name.endsWith('.ffn_gate_inp_shexp.weight') && info.shape.length === 1;
      return [name, isVector ? { ...info, shape: [1, ...info.shape] } : info];
    }),
  );
}

function decoder(config: Qwen2MoeConfig): Decoder {
  needSize('hiddenDim of the shared expert', config.sharedDim, 1 << 24);
  return {
    config,
    facts: [
      ropeFact(config),
      expertsFact(config.experts),
      ['', `and one for all rows, ${config.sharedDim} wide, gated`],
    ],
    buildGraph: (tensors, activations, maxSeq) =>
      buildQwen2(ropeAt(config, maxSeq), tensors, activations, (m, at, f) =>
        gatedExperts(m, at, f, config, activations),
      ),
  };
}

/**
 * What the chosen experts gave, and of the shared one as much as its gate lets through:
 *
 *   y = experts(f) + sigmoid(f . g) shared(f)        g: ffn_gate_inp_shexp [1, dim], one number for each row
 *
 * Source: transformers, models/qwen2_moe/modeling_qwen2_moe.py, Qwen2MoeSparseMoeBlock.
 */
function gatedExperts(
  m: ReturnType<typeof createBlocks>,
  at: string,
  f: ValueId,
  { experts, sharedDim }: Qwen2MoeConfig,
  activations: Activations,
): ValueId {
  const b = m.builder;
  const routed = expertFeedForward(m, at, f, experts, activations);
  const share = b.sigmoid(`${at}.shexp_share`, m.linear(`${at}.ffn_gate_inp_shexp`, f, 1)); // share: [T, 1]
  const shared = b.expertSum(`${at}.ffn_shexp`, sharedExpert(m, at, f, sharedDim), share);
  return b.add(`${at}.ffn_all_experts`, routed, shared);
}
