import { assert } from '../core/errors.ts';
import type { Graph, ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { T5Config, T5Stack } from './t5_config.ts';
import { crossRows } from './t5_tensors.ts';

/**
 * The encoder: nEncoderLayers x (norm, attention, residual; norm, feed-forward, residual), a norm, and of its rows what the decoder
 * attends to. Every row sees every row of its text: runs are bidirectional.
 *
 *   x [T, dim] -> norm -> q, k, v [T, nHeads, headDim] -> scores [nHeads, T, T], + a number for each head and distance -> probs
 *     -> mix [T, nHeads * headDim] -> attn_output -> + x
 *   rows [R, dim] -> keys and values of all decoder layers [R, nDecoderLayers * 2 * nHeads * headDim], as T5Tensors.crossParts says
 *
 * Scores are q k, not over sqrt(headDim): training started from weights that have the factor in them.
 * Throws ShapeError for a tensor that is missing or of another shape, UnsupportedError for one that has no place.
 * Source: Raffel et al. 2020, "Exploring the Limits of Transfer Learning with a Unified Text-to-Text Transformer", section 2.1.
 */
export function buildT5Encoder(config: T5Config, tensors: Tensors, activations: Activations): Graph {
  const part = createT5Blocks(config, config.nEncoderLayers, tensors, activations);
  const rows = encoderRows(part, config);
  let left = config.nDecoderLayers * 2 * config.nHeads * config.headDim;
  let cross: ValueId | undefined;
  for (let i = 0; left > 0; i++) {
    const nOut = tensors.get(crossRows(i))?.shape[0] ?? left;
    const weight = part.table.weight(crossRows(i), [nOut, config.dim]);
    const columns = part.builder.linear(`dec.cross_kv.${i}`, rows, weight, activations); // columns: [R, nOut]
    cross = cross === undefined ? columns : part.builder.concat(`dec.cross_kv.to_${i}`, cross, columns);
    left -= nOut;
  }
  assert(cross !== undefined && left === 0, 'the matrices of keys and values are those of all decoder layers');
  part.table.checkAllUsed();
  return part.builder.finish(cross, kvOf(config, config.nEncoderLayers));
}

/** The encoder of a model that has no decoder: its normed rows, as many as a run asks for, [R, dim]. */
export function buildT5Rows(stack: T5Stack, tensors: Tensors, activations: Activations): Graph {
  const part = createT5Blocks(stack, stack.nEncoderLayers, tensors, activations);
  const rows = encoderRows(part, stack);
  part.table.checkAllUsed();
  return part.builder.finish(rows, kvOf(stack, stack.nEncoderLayers));
}

function encoderRows(part: ReturnType<typeof createT5Blocks>, { nEncoderLayers, normEps }: T5Stack): ValueId {
  const { builder: b } = part;
  let x = part.embedding();
  for (let layer = 0; layer < nEncoderLayers; layer++) {
    const at = `enc.blk.${layer}`;
    x = part.selfAttention(at, layer, x).x;
    x = part.feedForward(at, x);
  }
  return b.takeRows('enc.rows', part.rmsNorm('enc.output_norm', x, normEps), b.input('outRows'));
}

/**
 * The decoder: as the encoder, but that a row sees none behind itself, and between the two parts of a layer cross attention: queries of
 * the decoder's rows, keys and values of the encoder's. These are the first rows of the sequence in the cache (`sees: 'source'`).
 *
 *   x [T, dim] -> norm -> q [T, nHeads, headDim] -> scores [nHeads, T, source] -> probs -> mix -> cross_attn_output -> + x
 *
 * v1.0 ends with its embedding as the head, over rows times dim^-0.5; v1.1 has a head of its own.
 */
export function buildT5Decoder(config: T5Config, tensors: Tensors, activations: Activations): Graph {
  const part = createT5Blocks(config, config.nDecoderLayers, tensors, activations);
  const { builder: b, positions } = part;
  const inner = config.nHeads * config.headDim;
  let x = part.embedding();
  for (let layer = 0; layer < config.nDecoderLayers; layer++) {
    const at = `dec.blk.${layer}`;
    const own = part.selfAttention(at, layer, x);
    const h = part.rmsNorm(`${at}.cross_attn_norm`, own.x, config.normEps);
    const q = part.heads(`${at}.cross_q`, part.linear(`${at}.cross_attn_q`, h, inner), config.nHeads);
    const scores = b.attendScores(`${at}.cross_scores`, q, own.keys, positions, 1, { sees: 'source' });
    const probs = b.softmax(`${at}.cross_probs`, scores, positions, { sees: 'source' });
    const mix = b.attendMix(`${at}.cross_mix`, probs, own.values, positions, { sees: 'source' });
    const heads = b.reshape(`${at}.cross_heads`, mix, ['T', inner]);
    x = b.add(`${at}.cross_residual`, own.x, part.linear(`${at}.cross_attn_output`, heads, config.dim));
    x = part.feedForward(at, x);
  }
  if (!config.isTied) part.table.weight('output.weight', [config.vocab, config.dim]); // not the embedding, where it is missing
  const normed = part.rmsNorm('dec.output_norm', x, config.normEps);
  return part.finish(config.isTied ? b.scale('dec.output_scaled', normed, config.dim ** -0.5) : normed);
}

function createT5Blocks(config: T5Stack, nLayers: number, tensors: Tensors, activations: Activations) {
  const { nHeads, headDim, dim, hiddenDim, normEps, maxDistance } = config;
  const sizes = { ...config, nLayers, nKvHeads: nHeads, maxContext: config.trainedLength };
  const blocks = createBlocks(sizes, tensors, activations);
  const { builder: b, table, positions, linear, rmsNorm } = blocks;
  return {
    ...blocks,

    /** x [T, dim] -> x + attention; and the cached rows of the layer. The numbers of distances are those of layer 0, or its own. */
    selfAttention(at: string, layer: number, x: ValueId): { x: ValueId; keys: ValueId; values: ValueId } {
      const { q, k, v } = blocks.queryKeyValue(at, rmsNorm(`${at}.attn_norm`, x, normEps));
      const keys = b.kvWriteK(`${at}.keys`, k, layer);
      const values = b.kvWriteV(`${at}.values`, v, layer);
      const from = config.hasOwnDistances ? at : at.replace(/\d+$/, '0');
      const bias = table.weight(`${from}.attn_rel_b.weight`, [nHeads * (2 * maxDistance + 1)]);
      const products = b.attendScores(`${at}.scores`, q, keys, positions, 1); // products: [nHeads, T, S]
      const scores = b.positionBias(`${at}.scores_biased`, products, positions, bias, maxDistance);
      const probs = b.softmax(`${at}.probs`, scores, positions);
      const mix = b.reshape(`${at}.heads`, b.attendMix(`${at}.mix`, probs, values, positions), ['T', nHeads * headDim]);
      return { x: b.add(`${at}.attn_residual`, x, linear(`${at}.attn_output`, mix, dim)), keys, values };
    },

    /** x [T, dim] -> x + feed-forward. */
    feedForward(at: string, x: ValueId): ValueId {
      const f = rmsNorm(`${at}.ffn_norm`, x, normEps);
      const y =
        config.feedForward === 'gated-gelu'
          ? blocks.geglu(at, f)
          : linear(`${at}.ffn_down`, b.relu(`${at}.ffn_relu`, linear(`${at}.ffn_up`, f, hiddenDim)), dim);
      return b.add(`${at}.ffn_residual`, x, y);
    },
  };
}

function kvOf({ nHeads, headDim }: T5Stack, nLayers: number): Graph['kv'] {
  return { nLayers, nKvHeads: nHeads, headDim };
}
