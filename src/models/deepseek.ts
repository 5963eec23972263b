import type { Graph, ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import { type DeepseekConfig, deepseekConfigFromGguf, deepseekConfigFromHf } from './deepseek_config.ts';
import { deepseekTensorsFromHf } from './deepseek_tensors.ts';
import { expertFeedForward, sharedExpert } from './expert_blocks.ts';
import { expertsFact } from './experts_config.ts';
import { ropeAt, ropeFact, ropeSpec } from './rope_config.ts';

/** DeepSeek-V2, V2.5, V3 and R1. */
export const deepseek: Architecture = {
  fromGguf: async ({ metadata }) => decoder(deepseekConfigFromGguf(metadata)),
  fromHf: (config) => decoder(deepseekConfigFromHf(config)),
  hfTensors: (tensors, config) => deepseekTensorsFromHf(tensors, deepseekConfigFromHf(config)),
};

function decoder(config: DeepseekConfig): Decoder {
  return {
    config,
    facts: [
      ropeFact(config),
      ['latent', `${config.latentDim} and ${config.ropeDim} that turn, for all ${config.nHeads} heads`],
      expertsFact(config.experts),
    ],
    buildGraph: (tensors, activations, maxSeq) => buildDeepseek(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * DeepSeek-V2 and V3: embedding; nLayers x (latent attention, residual, feed-forward, residual); norm, output projection. The first
 * nPlainLayers have a SwiGLU, the others experts of which each row uses some, and a shared one.
 *
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: DeepSeek-AI 2024, "DeepSeek-V2", 2.1 and 2.2; "DeepSeek-V3", 2.1.
 */
export function buildDeepseek(config: DeepseekConfig, tensors: Tensors, activations: Activations): Graph {
  const { normEps, experts } = config;
  const m = createBlocks(config, tensors, activations);
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const a = latentAttention(m, layer, m.rmsNorm(`${at}.attn_norm`, x, normEps), turn, config, activations);
    const attended = m.builder.add(`${at}.attn_residual`, x, a);
    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    const fed =
      layer < config.nPlainLayers
        ? m.swiglu(at, f)
        : withShared(m, at, f, expertFeedForward(m, at, f, experts, activations), config.sharedDim);
    x = m.builder.add(`${at}.ffn_residual`, attended, fed);
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}

type Blocks = ReturnType<typeof createBlocks>;

/**
 * Multi-head latent attention in its absorbed form. Keys and values of all heads are products of one latent row c, so that the cache
 * has c, and the one key that turns, in place of them:
 *
 *   score = (q W_k) . c + turned q . turned k        W_k: attn_k_b takes a head's query to the latent
 *   head  = W_v (sum of probs * c)                    W_v: attn_v_b takes the mix of latents to the head's values
 *
 *   h [T, dim] -> q [T, nHeads, keyDim + ropeDim] -> [its latent, turned part]  [T, nHeads, latentDim + ropeDim]
 *   h -> kv [T, latentDim + ropeDim] -> [normed latent, turned part], a row of the cache, as key and as value
 *     -> attention -> mix [T, nHeads, latentDim] -> [T, nHeads * valueDim] -> attn_output [T, dim]
 *
 * Source: DeepSeek-AI 2024, "DeepSeek-V2", 2.1.
 */
function latentAttention(
  m: Blocks,
  layer: number,
  h: ValueId,
  turn: (name: string, x: ValueId) => ValueId,
  { dim, nHeads, headDim, queryDim, latentDim, keyDim, ropeDim, valueDim, normEps, attentionScale }: DeepseekConfig,
  activations: Activations,
): ValueId {
  const b = m.builder;
  const at = (part: string): string => `blk.${layer}.${part}`;
  const perHead = (part: string, x: ValueId, nOut: number, nIn: number): ValueId =>
    b.headLinear(at(part), x, m.table.weight(at(`${part}.weight`), [nHeads, nOut, nIn]), activations);

  const width = nHeads * (keyDim + ropeDim);
  const flat =
    queryDim === undefined
      ? m.linear(at('attn_q'), h, width)
      : m.linear(at('attn_q_b'), m.rmsNorm(at('attn_q_a_norm'), m.linear(at('attn_q_a'), h, queryDim), normEps), width);
  const heads = b.reshape(at('q'), flat, ['T', nHeads, keyDim + ropeDim]);
  const turned = turn(at('q_rope'), b.slice(at('q_turning'), heads, keyDim, ropeDim));
  const absorbed = perHead('attn_k_b', b.slice(at('q_plain'), heads, 0, keyDim), latentDim, keyDim);
  const q = b.concat(at('q_latent'), absorbed, turned);

  const kv = m.linear(at('attn_kv_a_mqa'), h, latentDim + ropeDim);
  const latent = m.rmsNorm(at('attn_kv_a_norm'), b.slice(at('kv_latent'), kv, 0, latentDim), normEps);
  const turning = b.reshape(at('k_turning'), b.slice(at('kv_turning'), kv, latentDim, ropeDim), ['T', 1, ropeDim]);
  const row = b.concat(at('kv_row'), b.reshape(at('latent'), latent, ['T', 1, latentDim]), turn(at('k_rope'), turning));

  const mix = m.attend(layer, { q, k: row, v: row }, attentionScale); // mix: [T, nHeads * headDim]
  const mixHeads = b.reshape(at('mix_heads'), mix, ['T', nHeads, headDim]);
  const values = perHead('attn_v_b', b.slice(at('mix_latent'), mixHeads, 0, latentDim), valueDim, latentDim);
  return m.linear(at('attn_output'), b.reshape(at('head_values'), values, ['T', nHeads * valueDim]), dim);
}

/** What the experts gave, and a SwiGLU that all rows use. */
function withShared(m: Blocks, at: string, f: ValueId, routed: ValueId, sharedDim: number): ValueId {
  if (sharedDim === 0) return routed;
  return m.builder.add(`${at}.ffn_all_experts`, routed, sharedExpert(m, at, f, sharedDim));
}
