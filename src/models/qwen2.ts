import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks, type FeedForward } from './blocks.ts';
import { countLocal, qwenConfigFromHf, type WindowedConfig } from './layer_windows.ts';
import { plainConfigFromGguf } from './llama_gguf.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';

export const qwen2: Architecture = {
  fromGguf: async ({ metadata }) => decoder(plainConfigFromGguf(metadata, 'qwen2', 'halves')),
  fromHf: (config) => decoder(qwenConfigFromHf(config, 'Qwen 2')),
};

function decoder(config: WindowedConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ...windowFact(config, countLocal(config))],
    buildGraph: (tensors, activations, maxSeq) => buildQwen2(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Qwen 2 and 2.5: a Llama whose q, k and v have biases.
 *
 *   attn_norm(x) -> q + b, k + b, v + b -> rope -> attention -> attn_output -> + x;  ffn_norm -> SwiGLU -> + x
 *
 * feedForward: in place of the SwiGLU.  Throws as buildLlama does.  Source: Yang et al. 2024, "Qwen2 Technical Report", 2.2.1.
 */
export function buildQwen2(
  config: WindowedConfig,
  tensors: Tensors,
  activations: Activations,
  feedForward: FeedForward = (m, at, f) => m.swiglu(at, f),
): Graph {
  const { dim, headDim, normEps } = config;
  const m = createBlocks(config, tensors, activations);
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.rmsNorm(`${at}.attn_norm`, x, normEps);
    const { q, k, v } = m.queryKeyValue(at, h, 'bias');
    const turned = { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v };
    const limits = { window: config.isLocal?.[layer] ? config.window : undefined };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim), limits); // mix: [T, nHeads * headDim]
    const attended = m.builder.add(`${at}.attn_residual`, x, m.linear(`${at}.attn_output`, mix, dim));

    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    x = m.builder.add(`${at}.ffn_residual`, attended, feedForward(m, at, f));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
