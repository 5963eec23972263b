import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { createGptBlocks } from './gpt_blocks.ts';
import type { GptConfig } from './gpt_config.ts';
import { gpt2ConfigFromGguf, gpt2ConfigFromHf } from './gpt2_config.ts';
import { gpt2TensorsFromHf } from './gpt2_tensors.ts';

export const gpt2: Architecture = {
  fromGguf: async (file) => decoder(gpt2ConfigFromGguf(file.metadata)),
  fromHf: (config) => decoder(gpt2ConfigFromHf(config)),
  hfTensors: gpt2TensorsFromHf,
  isTiedByDefault: true,
};

function decoder(config: GptConfig): Decoder {
  return {
    config,
    facts: [
      ['positions', 'learned'],
      ['activation', config.activation],
    ],
    buildGraph: (tensors, activations) => buildGpt2(config, tensors, activations),
  };
}

/**
 * GPT-2: embedding of the token + embedding of its position; nLayers x (norm, attention, residual, norm, GELU, residual); norm, output.
 *
 *   x [T, dim] -> attn_norm -> attn_qkv [T, 3 dim] -> q, k, v [T, nHeads, headDim]
 *     -> cache -> scores [nHeads, T, S] -> probs -> mix [T, dim] -> attn_output -> + x
 *     -> ffn_norm -> gelu(ffn_up) [T, hiddenDim] -> ffn_down -> + x
 *
 * Every product but the last has a bias. tensors: by GGUF name; without output.weight the embedding serves both ends.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Radford et al. 2019, "Language Models are Unsupervised Multitask Learners", section 2.3.
 */
export function buildGpt2(config: GptConfig, tensors: Tensors, activations: Activations): Graph {
  const m = createGptBlocks(config, tensors, activations, 'bias');
  const b = m.builder;

  const table = m.table.weight('position_embd.weight', [config.maxContext, config.dim]);
  let x = b.add('embedding_sum', m.embedding(), b.embed('position_embedding', m.positions, table)); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.layerNorm(`${at}.attn_norm`, x);
    const attended = b.add(`${at}.attn_residual`, x, m.attended(layer, m.mergedQueryKeyValue(at, h)));
    const f = m.layerNorm(`${at}.ffn_norm`, attended);
    x = b.add(`${at}.ffn_residual`, attended, m.feedForward(at, f));
  }
  return m.finish(m.layerNorm('output_norm', x));
}
