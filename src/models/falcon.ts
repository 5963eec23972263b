import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import { ALIBI } from './alibi.ts';
import type { Architecture, Decoder, Tensors } from './architecture.ts';
import { type FalconConfig, falconConfigFromGguf, falconConfigFromHf } from './falcon_config.ts';
import { falconTensorsFromHf, farthest } from './falcon_tensors.ts';
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
    facts: [
      config.places === 'rope' ? ropeFact(config) : ['positions', 'ALiBi'],
      ['norms of a layer', `${config.isParallel ? config.nNorms : 2}`],
      ['activation', config.activation],
    ],
    buildGraph: (tensors, activations, maxSeq) => buildFalcon(ropeAt(config, maxSeq), tensors, activations),
  };
}

/**
 * Falcon: embedding; nLayers x (attention and feed-forward side by side, residual); norm, output projection. Products have a bias in
 * Falcon-RW alone.
 *
 *   x [T, dim] -> attn_norm = h -> attn_qkv -> q [T, nHeads, headDim], k, v [T, nKvHeads, headDim] -> rope(q), rope(k)
 *     -> cache -> scores [nHeads, T, S] -> probs -> mix [T, dim] -> attn_output = a
 *   h -> gelu(ffn_up) [T, hiddenDim] -> ffn_down = f
 *   x + a + f
 *
 * With two norms, attention reads attn_norm_2 of x in place of h. In Falcon-RW feed-forward follows attention, f of ffn_norm(x + a), and
 * heads are not turned: scores fall with the distance (models/alibi.ts). tensors: by GGUF name; without output.weight the embedding
 * serves both ends.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Almazrouei et al. 2023, "The Falcon Series of Open Language Models", section 4;
 * Penedo et al. 2023, "The RefinedWeb Dataset for Falcon LLM", section 4.1, and transformers, modeling_falcon.py, for Falcon-RW.
 */
export function buildFalcon(config: FalconConfig, tensors: Tensors, activations: Activations): Graph {
  const { isParallel, nHeads } = config;
  const m = createGptBlocks(config, tensors, activations, config.bias);
  const b = m.builder;
  const maxDistance = farthest(config);
  const places =
    config.places === 'rope'
      ? { turn: m.rope(ropeSpec(config), config.ropeLayout), distances: undefined }
      : {
          turn: undefined,
          distances: { maxDistance, numbers: m.table.weight(ALIBI, [nHeads * (2 * maxDistance + 1)]) },
        };

  let x = m.embedding(); // x: [T, dim]
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const h = m.layerNorm(`${at}.attn_norm`, x);
    const { q, k, v } = m.mergedQueryKeyValue(at, config.nNorms === 2 ? m.layerNorm(`${at}.attn_norm_2`, x) : h);
    const turned = places.turn
      ? { q: places.turn(`${at}.q_rope`, q), k: places.turn(`${at}.k_rope`, k), v }
      : { q, k, v };
    const attended = b.add(`${at}.attn_residual`, x, m.attended(layer, turned, places.distances));
    const f = isParallel ? h : m.layerNorm(`${at}.ffn_norm`, attended);
    x = b.add(`${at}.ffn_residual`, attended, m.feedForward(at, f));
  }
  return m.finish(m.layerNorm('output_norm', x));
}
