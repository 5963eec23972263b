import { needCount } from '../core/metadata.ts';
import { ggufNames } from '../load/names.ts';
import type { Architecture, Decoder } from './architecture.ts';
import type { LlamaConfig } from './config.ts';
import { expertFeedForward } from './expert_blocks.ts';
import {
  type ExpertsConfig,
  expertsFact,
  optionalBool,
  softmaxExpertsFromGguf,
  softmaxExpertsFromHf,
} from './experts_config.ts';
import { refuse } from './hf_config.ts';
import { commonConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf, refuseWindows } from './llama_hf.ts';
import { qwenMoeTensorsFromHf, refusePlainLayers } from './qwen_experts.ts';
import { buildQwen3, QWEN3_NAMES } from './qwen3.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import { ropeAt, ropeFact } from './rope_config.ts';

export interface Qwen3MoeConfig extends LlamaConfig {
  readonly experts: ExpertsConfig;
}

/** Qwen 3 with experts: its attention, and in each layer a feed-forward of experts. Source: as buildQwen3. */
export const qwen3Moe: Architecture = {
  async fromGguf({ metadata }) {
    refuseGgufKeys(metadata, 'qwen3moe');
    const config = commonConfigFromGguf(metadata, 'qwen3moe', 'halves', undefined, undefined, 'experts');
    const hiddenDim = needCount(metadata, 'qwen3moe.expert_feed_forward_length');
    return decoder({ ...config, experts: softmaxExpertsFromGguf(metadata, 'qwen3moe', hiddenDim) });
  },
  fromHf(hf) {
    refuseWindows(hf);
    refuse(hf, 'attention_bias', [false], 'Qwen 3');
    refusePlainLayers(hf, 'Qwen 3');
    const { num_experts: _ofExperts, ...shared } = hf; // which plain models refuse
    const keys = { nExperts: 'num_experts', hiddenDim: 'moe_intermediate_size' };
    const experts = softmaxExpertsFromHf(hf, keys, optionalBool(hf, 'norm_topk_prob', false));
    return decoder({ ...plainConfigFromHf(shared, 'Qwen 3'), experts });
  },
  hfTensors: (tensors, hf) => qwenMoeTensorsFromHf(tensors, hf, nameOf),
};

function decoder(config: Qwen3MoeConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), expertsFact(config.experts)],
    buildGraph: (tensors, activations, maxSeq) =>
      buildQwen3(ropeAt(config, maxSeq), tensors, activations, (m, at, f) =>
        expertFeedForward(m, at, f, config.experts, activations),
      ),
  };
}

const nameOf = ggufNames({ ...QWEN3_NAMES, layer: [...QWEN3_NAMES.layer, ['mlp.gate', 'ffn_gate_inp']] });
