import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createGptBlocks } from './gpt_blocks.ts';
import { type GptNeoxConfig, gptNeoxConfigFromGguf, gptNeoxConfigFromHf } from './gptneox_config.ts';
import { gptNeoxTensorsFromHf } from './gptneox_tensors.ts';
import { ropeAt, ropeFact, ropeSpec } from './rope_config.ts';

export const gptNeox: Architecture = {
  fromGguf: async (file) => decoder(gptNeoxConfigFromGguf(file.metadata)),
  fromHf: (config) => decoder(gptNeoxConfigFromHf(config)),
  hfTensors: gptNeoxTensorsFromHf,
  hfHead: 'embed_out.weight',
};

function decoder(config: GptNeoxConfig): Decoder {
  return {
    config,
    facts: [
      ropeFact(config),
      ['residual', config.isParallel ? 'parallel' : 'sequential'],
      ['activation', config.activation],
    ],
    buildGraph: (tensors, activations, maxSeq) => buildGptNeox(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * GPT-NeoX (Pythia): embedding; nLayers x (attention and feed-forward side by side, residual); norm, output projection.
 *
 *   x [T, dim] -> attn_norm -> attn_qkv -> q, k, v [T, nHeads, headDim] -> rope(q), rope(k), the first ropeDim of each head
 *     -> cache -> scores [nHeads, T, S] -> probs -> mix [T, dim] -> attn_output = a
 *   x or, where not parallel, x + a -> ffn_norm -> gelu(ffn_up) [T, hiddenDim] -> ffn_down = f
 *   x + a + f
 *
 * Every product but the last has a bias. tensors: by GGUF name; without output.weight the embedding serves both ends.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Black et al. 2022, "GPT-NeoX-20B", section 2.1.
 */
export function buildGptNeox(config: GptNeoxConfig, tensors: Tensors, activations: Activations): Graph {
  const m = createGptBlocks(config, tensors, activations, 'bias');
  const b = m.builder;
  const turn = m.rope(ropeSpec(config), config.ropeLayout);

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const { q, k, v } = m.mergedQueryKeyValue(at, m.layerNorm(`${at}.attn_norm`, x));
    const a = m.attended(layer, { q: turn(`${at}.q_rope`, q), k: turn(`${at}.k_rope`, k), v });
    const attended = b.add(`${at}.attn_residual`, x, a);
    const f = m.feedForward(at, m.layerNorm(`${at}.ffn_norm`, config.isParallel ? x : attended));
    x = b.add(`${at}.ffn_residual`, attended, f);
  }
  return m.finish(m.layerNorm('output_norm', x));
}
