import type { Metadata } from '../core/metadata.ts';
import type { Graph } from '../graph/ir.ts';
import type { JsonObject } from '../load/json_file.ts';
import { ggufNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { LlamaConfig } from './config.ts';
import { expertFeedForward } from './expert_blocks.ts';
import { stackExperts } from './expert_tensors.ts';
import { type ExpertsConfig, expertsFact, softmaxExpertsFromGguf, softmaxExpertsFromHf } from './experts_config.ts';
import { number } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { commonConfigFromGguf } from './llama_gguf.ts';
import { llamaConfigFromHf } from './llama_hf.ts';
import { refuseGgufKeys } from './refused_keys.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';

export interface MixtralConfig extends LlamaConfig {
  readonly experts: ExpertsConfig;
}

/** Of Hugging Face folders. A GGUF file says "llama", and models/llama.ts hands it on. */
export const mixtral: Architecture = {
  fromHf: (config) => decoder(mixtralConfigFromHf(config)),
  hfTensors: mixtralTensorsFromHf,
};

/** Throws as llamaConfigFromGguf and softmaxExpertsFromGguf do. */
export function mixtralFromGguf(meta: Metadata, ropeFactors: readonly number[] | undefined): Decoder {
  refuseGgufKeys(meta, 'llama');
  const config = commonConfigFromGguf(meta, 'llama', 'pairs', ropeFactors, undefined, 'experts');
  return decoder({ ...config, experts: softmaxExpertsFromGguf(meta, 'llama', config.hiddenDim) });
}

/** Throws as llamaConfigFromHf does.  Source: transformers, models/mixtral/configuration_mixtral.py. */
function mixtralConfigFromHf(hf: JsonObject): MixtralConfig {
  const { num_local_experts: _ofExperts, ...shared } = hf; // which the Llama family refuses
  const config = llamaConfigFromHf({ rms_norm_eps: 1e-5, rope_theta: 1e6, ...shared });
  const keys = { nExperts: 'num_local_experts', hiddenDim: 'intermediate_size' };
  return { ...config, experts: softmaxExpertsFromHf(hf, keys, true) };
}

const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [...LLAMA_NAMES.layer, ['block_sparse_moe.gate', 'ffn_gate_inp']],
});

/** Each expert has its matrices apart there: w1, w2 and w3 for gate, down and up. */
function mixtralTensorsFromHf(tensors: Tensors, hf: JsonObject): Tensors {
  const { stacks, others } = stackExperts(tensors, {
    module: 'block_sparse_moe',
    parts: [
      ['w1', 'ffn_gate_exps'],
      ['w2', 'ffn_down_exps'],
      ['w3', 'ffn_up_exps'],
    ],
    nExperts: number(hf, 'num_local_experts'),
  });
  return new Map([...renamed(others, nameOf, 'mixtral'), ...stacks]);
}

function decoder(config: MixtralConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ...windowFact(config, config.nLayers), expertsFact(config.experts)],
    buildGraph: (tensors, activations, maxSeq) => buildMixtral(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Mixtral: a Llama in which each feed-forward is several, of which each row uses some.
 *
 *   attn_norm(x) -> q, k, v -> rope -> attention -> attn_output -> + x
 *     -> ffn_norm -> router, chosen experts, weighted sum (models/expert_blocks.ts) -> + x
 *
 * Throws as buildLlama does.  Source: Jiang et al. 2024, "Mixtral of Experts", 2.
 */
export function buildMixtral(config: MixtralConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, headDim, normEps, experts } = config;
  const m = createBlocks(config, tensors, activations, ['rope_freqs.weight']);
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const { q, k, v } = m.queryKeyValue(at, m.rmsNorm(`${at}.attn_norm`, x, normEps));
    const turned = { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim), { window: config.window }); // mix: [T, nHeads * headDim]
    const attended = m.builder.add(`${at}.attn_residual`, x, m.linear(`${at}.attn_output`, mix, dim));

    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    x = m.builder.add(`${at}.ffn_residual`, attended, expertFeedForward(m, at, f, experts, activations));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
