import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { type FalconConfig, falconConfigFromGguf, falconConfigFromHf } from './falcon_config.ts';
import { falconTensorsFromHf } from './falcon_tensors.ts';
import { createGptBlocks } from './gpt_blocks.ts';
import { ropeAt, ropeFact, ropeSpec } from './rope_config.ts';

export const falcon: Architecture = {
  fromGguf: async (file) => decoder(falconConfigFromGguf(file.metadata, file.tensors)),
  fromHf: (config) => decoder(falconConfigFromHf(config)),
  hfTensors: falconTensorsFromHf,
  isTiedByDefault: true,
};

function decoder(config: FalconConfig): Decoder {
  return {
    config,
    facts: [ropeFact(config), ['norms of a layer', `${config.nNorms}`], ['activation', config.activation]],
    buildGraph: (tensors, activations, maxSeq) => buildFalcon(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Falcon: embedding; nLayers x (attention and feed-forward side by side, residual); norm, output projection. No product has a bias.
 *
 *   x [T, dim] -> attn_norm = h -> attn_qkv -> q [T, nHeads, headDim], k, v [T, nKvHeads, headDim] -> rope(q), rope(k)
 *     -> cache -> scores [nHeads, T, S] -> probs -> mix [T, dim] -> attn_output = a
 *   h -> gelu(ffn_up) [T, hiddenDim] -> ffn_down = f
 *   x + a + f
 *
 * With two norms, attention reads attn_norm_2 of x in place of h. tensors: by GGUF name; without output.weight the embedding
 * serves both ends.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Almazrouei et al. 2023, "The Falcon Series of Open Language Models", section 4.
 */
export function buildFalcon(config: FalconConfig, tensors: Tensors, activations: Activations): Graph {
  const m = createGptBlocks(config, tensors, activations, 'no bias');
  const b = m.builder;
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.layerNorm(`${at}.attn_norm`, x);
    const { q, k, v } = m.mergedQueryKeyValue(at, config.nNorms === 2 ? m.layerNorm(`${at}.attn_norm_2`, x) : h);
    const a = m.attended(layer, { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v });
    const attended = b.add(`${at}.attn_residual`, x, a);
    x = b.add(`${at}.ffn_residual`, attended, m.feedForward(at, h));
  }
  return m.finish(m.layerNorm('output_norm', x));
}
