import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import { ropeFrequencies } from '../ops/rope_table.ts';
import type { Tensors } from './architecture.ts';
import type { EncoderArchitecture, EncoderOutput } from './encoder.ts';
import { createEncoderBlocks } from './encoder_blocks.ts';
import { poolingOf } from './encoder_config.ts';
import {
  type NomicBertConfig,
  nomicBertConfigFromGguf,
  nomicBertConfigFromHf,
  nomicBertTensors,
} from './nomic_bert_config.ts';

/** nomic-embed-text: BERT's layer with rotated positions and SwiGLU, and no biases in its products. */
export const nomicBert: EncoderArchitecture = {
  fromGguf({ metadata }) {
    const config = nomicBertConfigFromGguf(metadata);
    return { config, pooling: poolingOf(metadata, 'nomic-bert'), buildGraph: graphOf(config) };
  },
  fromHf(json) {
    const config = nomicBertConfigFromHf(json);
    return { config, pooling: null, buildGraph: graphOf(config) };
  },
  hfTensors: nomicBertTensors,
};

const graphOf =
  (config: NomicBertConfig) =>
  (tensors: Tensors, activations: Activations, output: EncoderOutput): Graph =>
    buildNomicBert(config, tensors, activations, output);

/**
 *   words + types -> token_embd_norm = x [T, dim]
 *     -> attn_qkv [T, 3 dim] -> rope(q), rope(k), v [T, nHeads, headDim] -> mix [T, dim] -> attn_output -> + x -> attn_output_norm
 *     -> silu(ffn_gate) * ffn_up [T, hiddenDim] -> ffn_down -> + -> layer_output_norm
 *
 * tensors: by GGUF name. Rows of attn_qkv: all of q, all of k, all of v.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Nussbaum et al. 2024, "Nomic Embed", section 3.
 */
export function buildNomicBert(
  config: NomicBertConfig,
  tensors: Tensors,
  activations: Activations,
  output: EncoderOutput,
): Graph {
  const { dim, headDim } = config;
  const { builder: b, ...part } = createEncoderBlocks(config, tensors, activations, output);
  const rope = part.rope({ frequencies: ropeFrequencies(config.ropeBase, headDim), magnitude: 1 }, 'halves');
  let x = part.embeddings(false);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const { q, k, v } = part.mergedQueryKeyValue(at, x);
    const turned = { q: rope(`${at}.q_rope`, q), k: rope(`${at}.k_rope`, k), v };
    const mix = part.attend(layer, turned, 1 / Math.sqrt(headDim));
    const attended = b.add(`${at}.attn_residual`, part.linear(`${at}.attn_output`, mix, dim), x);
    const h = part.layerNorm(`${at}.attn_output_norm`, attended);
    const sum = b.add(`${at}.ffn_residual`, part.swiglu(at, h), h);
    x = part.layerNorm(`${at}.layer_output_norm`, sum);
  }
  return part.finish(x);
}
