import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import { ropeFrequencies } from '../ops/rope_table.ts';
import type { Tensors } from './architecture.ts';
import type { EncoderArchitecture, EncoderOutput } from './encoder.ts';
import { createEncoderBlocks } from './encoder_blocks.ts';
import { poolingOf } from './encoder_config.ts';
import {
  isGlobal,
  type ModernBertConfig,
  modernBertConfigFromGguf,
  modernBertConfigFromHf,
} from './modern_bert_config.ts';
import { modernBertTensors, withoutBiases } from './modern_bert_tensors.ts';

/** ModernBERT: norms before the blocks, rotated positions, most layers with a window, GeGLU, no biases at all. */
export const modernBert: EncoderArchitecture = {
  fromGguf({ metadata }) {
    const config = modernBertConfigFromGguf(metadata);
    return { config, pooling: poolingOf(metadata, 'modern-bert'), buildGraph: graphOf(config) };
  },
  fromHf(json) {
    const config = modernBertConfigFromHf(json);
    return { config, pooling: null, buildGraph: graphOf(config) };
  },
  tensorsOf: ({ tensors }) => withoutBiases(tensors),
  hfTensors: modernBertTensors,
};

const graphOf =
  (config: ModernBertConfig) =>
  (tensors: Tensors, activations: Activations, output: EncoderOutput): Graph =>
    buildModernBert(config, tensors, activations, output);

/**
 *   words -> token_embd_norm = x [T, dim]
 *     -> attn_norm (from the second layer on) -> attn_qkv [T, 3 dim] -> rope(q), rope(k), v [T, nHeads, headDim]
 *     -> mix [T, dim] over all rows, or those of a window -> attn_output -> + x
 *     -> ffn_norm -> ffn_up [T, 2 hiddenDim] = active, gate -> gelu(active) * gate -> ffn_down -> +
 *     -> output_norm
 *
 * tensors: by GGUF name. Every globalEvery-th layer, the first one among them, sees all rows and turns by its own angles; the others
 * see the rows that are less than `window` positions away, on either side.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Warner et al. 2024, "Smarter, Better, Faster, Longer: A Modern Bidirectional Encoder", section 2.1.
 */
export function buildModernBert(
  config: ModernBertConfig,
  tensors: Tensors,
  activations: Activations,
  output: EncoderOutput,
): Graph {
  const { dim, hiddenDim, headDim, window } = config;
  const { builder: b, ...part } = createEncoderBlocks(config, tensors, activations, output);
  const turn = (base: number) => part.rope({ frequencies: ropeFrequencies(base, headDim), magnitude: 1 }, 'halves');
  const [globally, locally] = [turn(config.globalRopeBase), turn(config.localRopeBase)];
  let x = part.embeddings(false);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const isAll = isGlobal(config, layer);
    const rope = isAll ? globally : locally;
    const h = layer === 0 ? x : part.layerNorm(`${at}.attn_norm`, x);
    const { q, k, v } = part.mergedQueryKeyValue(at, h);
    const turned = { q: rope(`${at}.q_rope`, q), k: rope(`${at}.k_rope`, k), v };
    const mix = part.attend(layer, turned, 1 / Math.sqrt(headDim), isAll ? {} : { window });
    const attended = b.add(`${at}.attn_residual`, part.linear(`${at}.attn_output`, mix, dim), x);
    const both = part.linear(`${at}.ffn_up`, part.layerNorm(`${at}.ffn_norm`, attended), 2 * hiddenDim);
    const active = b.gelu(`${at}.ffn_gelu`, b.slice(`${at}.ffn_active`, both, 0, hiddenDim));
    const gated = b.mul(`${at}.ffn_gated`, active, b.slice(`${at}.ffn_gate`, both, hiddenDim, hiddenDim));
    x = b.add(`${at}.ffn_residual`, part.linear(`${at}.ffn_down`, gated, dim), attended);
  }
  return part.finish(part.layerNorm('output_norm', x));
}
