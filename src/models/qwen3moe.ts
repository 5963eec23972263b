import { UnsupportedError } from '../core/errors.ts';
import { needCount } from '../core/metadata.ts';
import type { JsonObject } from '../load/json_file.ts';
import { ggufNames } from '../load/names.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import type { LlamaConfig } from './config.ts';
import { expertFeedForward } from './expert_blocks.ts';
import { stackExperts } from './expert_tensors.ts';
import {
  type ExpertsConfig,
  expertsFact,
  optionalBool,
  softmaxExpertsFromGguf,
  softmaxExpertsFromHf,
} from './experts_config.ts';
import { number, refuse } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { commonConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf, refuseWindows } from './llama_hf.ts';
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
    refusePlainLayers(hf);
    const { num_experts: _ofExperts, ...shared } = hf; // which plain models refuse
    const keys = { nExperts: 'num_experts', hiddenDim: 'moe_intermediate_size' };
    const experts = softmaxExpertsFromHf(hf, keys, optionalBool(hf, 'norm_topk_prob', false));
    return decoder({ ...plainConfigFromHf(shared, 'Qwen 3'), experts });
  },
  hfTensors: qwen3MoeTensorsFromHf,
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

/** Throws UnsupportedError where some layers have no experts: GGUF files cannot say so, and published models have none. */
function refusePlainLayers(hf: JsonObject): void {
  const plain = hf['mlp_only_layers'] ?? [];
  if (!Array.isArray(plain) || plain.length > 0) {
    throw new UnsupportedError(
      `config.json: mlp_only_layers is ${JSON.stringify(plain)}; Qwen 3 is run with experts in every layer`,
    );
  }
  const step = hf['decoder_sparse_step'] ?? 1;
  if (step !== 1) {
    throw new UnsupportedError(
      `config.json: decoder_sparse_step is ${JSON.stringify(step)}; Qwen 3 is run with experts in every layer`,
    );
  }
}

const nameOf = ggufNames({ ...QWEN3_NAMES, layer: [...QWEN3_NAMES.layer, ['mlp.gate', 'ffn_gate_inp']] });

/** Each expert has its matrices apart in a folder. */
function qwen3MoeTensorsFromHf(tensors: Tensors, hf: JsonObject): Tensors {
  const { stacks, others } = stackExperts(tensors, {
    module: 'mlp',
    parts: [
      ['gate_proj', 'ffn_gate_exps'],
      ['up_proj', 'ffn_up_exps'],
      ['down_proj', 'ffn_down_exps'],
    ],
    nExperts: number(hf, 'num_experts'),
  });
  return new Map([...renamed(others, nameOf, 'qwen3_moe'), ...stacks]);
}
