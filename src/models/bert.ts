import type { Graph } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';
import { type BertConfig, bertConfigFromGguf, bertConfigFromHf } from './bert_config.ts';
import { bertTensors, DISTANCES } from './bert_tensors.ts';
import type { EncoderArchitecture, EncoderOutput } from './encoder.ts';
import { createEncoderBlocks } from './encoder_blocks.ts';
import { poolingOf } from './encoder_config.ts';

/** BERT; RoBERTa and XLM-R, whose positions start behind the padding id; DistilBERT, which has no types; MPNet, both, with a bias of distances. */
export const bert: EncoderArchitecture = {
  fromGguf({ metadata }) {
    const config = bertConfigFromGguf(metadata);
    return { config, pooling: poolingOf(metadata, 'bert'), buildGraph: graphOf(config) };
  },
  fromHf(json) {
    const config = bertConfigFromHf(json);
    return { config, pooling: null, buildGraph: graphOf(config) };
  },
  hfTensors: bertTensors,
};

const graphOf =
  (config: BertConfig) =>
  (tensors: Tensors, activations: Activations, output: EncoderOutput): Graph =>
    buildBert(config, tensors, activations, output);

/**
 * A BERT encoder: embeddings, norm; nLayers x (attention, residual, norm, GELU, residual, norm). Norms come after the sums.
 *
 *   words + types + positions -> token_embd_norm = x [T, dim]
 *     -> q, k, v [T, nHeads, headDim] -> scores [nHeads, T, T] -> probs -> mix [T, dim] -> attn_output -> + x -> attn_output_norm
 *     -> gelu(ffn_up) [T, hiddenDim] -> ffn_down -> + -> layer_output_norm
 *
 * In MPNet scores have a number for each head and distance added, the same ones in all layers (position_bias).
 *
 * tensors: by GGUF name. Every row sees every row of its text: runs are bidirectional. GELU is the one with erf, as the papers'
 * code has it; llama.cpp computes the tanh form for the same files.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Devlin et al. 2018, "BERT", section 3; Vaswani et al. 2017 for the layer; Song et al. 2020, "MPNet", section 3.
 */
export function buildBert(
  config: BertConfig,
  tensors: Tensors,
  activations: Activations,
  output: EncoderOutput,
): Graph {
  const { dim, hiddenDim, headDim, nHeads, maxDistance } = config;
  const { builder: b, ...part } = createEncoderBlocks(config, tensors, activations, output);
  const bias =
    maxDistance === undefined
      ? undefined
      : { maxDistance, numbers: part.table.weight(DISTANCES, [nHeads * (2 * maxDistance + 1)]) };
  let x = part.embeddings(true);
  for (let layer = 0; layer < config.nLayers; layer++) {
    const at = `blk.${layer}`;
    const mix = part.attend(layer, part.queryKeyValue(at, x, 'bias'), 1 / Math.sqrt(headDim), {}, bias);
    const attended = b.add(`${at}.attn_residual`, part.linear(`${at}.attn_output`, mix, dim, 'bias'), x);
    const h = part.layerNorm(`${at}.attn_output_norm`, attended);
    const hidden = b.gelu(`${at}.ffn_gelu`, part.linear(`${at}.ffn_up`, h, hiddenDim, 'bias'));
    const sum = b.add(`${at}.ffn_residual`, part.linear(`${at}.ffn_down`, hidden, dim, 'bias'), h);
    x = part.layerNorm(`${at}.layer_output_norm`, sum);
  }
  return part.finish(x);
}
