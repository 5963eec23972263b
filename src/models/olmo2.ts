import type { Graph } from '../graph/ir.ts';
import { ggufNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { LlamaConfig } from './config.ts';
import { refuse } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { plainConfigFromGguf } from './llama_gguf.ts';
import { plainConfigFromHf } from './llama_hf.ts';
import { ropeAt, ropeFact, ropeSpec } from './rope_config.ts';

/** Of transformers' Olmo2Config. */
const DEFAULT_NORM_EPS = 1e-5;

/** The name that other families give to the norm before the feed-forward is that of the norm behind attention here. */
const NORMS_BEFORE = ['input_layernorm', 'post_attention_layernorm'];

const nameOf = ggufNames({
  ...LLAMA_NAMES,
  layer: [
    ...LLAMA_NAMES.layer.filter(([name]) => !NORMS_BEFORE.includes(name)),
    ['self_attn.q_norm', 'attn_q_norm'],
    ['self_attn.k_norm', 'attn_k_norm'],
    ['post_attention_layernorm', 'post_attention_norm'],
    ['post_feedforward_layernorm', 'post_ffw_norm'],
  ],
});

export const olmo2: Architecture = {
  fromGguf: async ({ metadata }) => decoder(plainConfigFromGguf(metadata, 'olmo2', 'halves')),
  fromHf(config) {
    refuse(config, 'attention_bias', [false], 'OLMo 2');
    return decoder(plainConfigFromHf(config, 'OLMo 2', { normEps: DEFAULT_NORM_EPS }));
  },
  hfTensors: (tensors) => renamed(tensors, nameOf, 'olmo2'),
};

function decoder(config: LlamaConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config)],
    buildGraph: (tensors, activations, maxSeq) => buildOlmo2(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * OLMo 2: norms stand behind attention and feed-forward, before the residual, not in front of them; q and k are normed over
 * all their heads together.
 *
 *   x -> q, k, v -> norm of q [T, nHeads * headDim] and of k [T, nKvHeads * headDim] -> rope -> attention -> attn_output
 *     -> post_attention_norm -> + x -> SwiGLU -> post_ffw_norm -> + x
 *
 * Throws as buildLlama does.  Source: OLMo team 2024, "2 OLMo 2 Furious", 3.2.
 */
export function buildOlmo2(config: LlamaConfig, tensors: Tensors, activations: Activations): Graph {
  const { dim, headDim, nHeads, nKvHeads, normEps } = config;
  const m = createBlocks(config, tensors, activations);
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const q = m.rmsNorm(`${at}.attn_q_norm`, m.linear(`${at}.attn_q`, x, nHeads * headDim), normEps);
    const k = m.rmsNorm(`${at}.attn_k_norm`, m.linear(`${at}.attn_k`, x, nKvHeads * headDim), normEps);
    const v = m.linear(`${at}.attn_v`, x, nKvHeads * headDim);
    const turned = {
      q: turn(`${at}.q_rope`, m.heads(`${at}.q`, q, nHeads)),
      k: turn(`${at}.k_rope`, m.heads(`${at}.k`, k, nKvHeads)),
      v: m.heads(`${at}.v`, v, nKvHeads),
    };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim)); // mix: [T, nHeads * headDim]
    const attention = m.rmsNorm(`${at}.post_attention_norm`, m.linear(`${at}.attn_output`, mix, dim), normEps);
    const attended = m.builder.add(`${at}.attn_residual`, x, attention);

    const forward = m.rmsNorm(`${at}.post_ffw_norm`, m.swiglu(at, attended), normEps);
    x = m.builder.add(`${at}.ffn_residual`, attended, forward);
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
