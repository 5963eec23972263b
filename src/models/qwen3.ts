import type { Graph } from '../graph/ir.ts';
import { ggufNames, type HfNames, LLAMA_NAMES } from '../load/names.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createBlocks, type FeedForward } from './blocks.ts';
import { refuse } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { countLocal, qwenConfigFromHf, type WindowedConfig } from './layer_windows.ts';
import { plainConfigFromGguf } from './llama_gguf.ts';
import { ropeAt, ropeFact, ropeSpec, windowFact } from './rope_config.ts';

/** Of transformers' Qwen3Config: heads are not dim / nHeads wide. */
const DEFAULT_HEAD_DIM = 128;

export const QWEN3_NAMES: HfNames = {
  ...LLAMA_NAMES,
  layer: [...LLAMA_NAMES.layer, ['self_attn.q_norm', 'attn_q_norm'], ['self_attn.k_norm', 'attn_k_norm']],
};

const nameOf = ggufNames(QWEN3_NAMES);

export const qwen3: Architecture = {
  fromGguf: async ({ metadata }) => decoder(plainConfigFromGguf(metadata, 'qwen3', 'halves')),
  fromHf(config) {
    refuse(config, 'attention_bias', [false], 'Qwen 3');
    return decoder(qwenConfigFromHf(config, 'Qwen 3', { headDim: DEFAULT_HEAD_DIM }));
  },
  hfTensors: (tensors) => renamed(tensors, nameOf, 'qwen3'),
};

function decoder(config: WindowedConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ...windowFact(config, countLocal(config))],
    buildGraph: (tensors, activations, maxSeq) => buildQwen3(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Qwen 3: a Llama that norms each head of q and k before it turns them, all heads of a layer by the same gain.
 *
 *   attn_norm(x) -> q, k, v -> norm of each head of q and of k -> rope -> attention -> attn_output -> + x
 *     -> ffn_norm -> SwiGLU -> + x
 *
 * feedForward: in place of the SwiGLU.  Throws as buildLlama does.  Source: Yang et al. 2025, "Qwen3 Technical Report", 2.
 */
export function buildQwen3(
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
    const { q, k, v } = m.queryKeyValue(at, h);
    const turned = {
      q: turn(`${at}.q_rope`, m.rmsNorm(`${at}.attn_q_norm`, q, normEps)),
      k: turn(`${at}.k_rope`, m.rmsNorm(`${at}.attn_k_norm`, k, normEps)),
      v,
    };
    const limits = { window: config.isLocal?.[layer] ? config.window : undefined };
    const mix = m.attend(layer, turned, 1 / Math.sqrt(headDim), limits); // mix: [T, nHeads * headDim]
    const attended = m.builder.add(`${at}.attn_residual`, x, m.linear(`${at}.attn_output`, mix, dim));

    const f = m.rmsNorm(`${at}.ffn_norm`, attended, normEps);
    x = m.builder.add(`${at}.ffn_residual`, attended, feedForward(m, at, f));
  }
  return m.finish(m.rmsNorm('output_norm', x, normEps));
}
