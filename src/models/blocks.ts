import { createBuilder } from '../graph/build.ts';
import type { Graph, ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { RopeSpec } from '../ops/rope_table.ts';
import type { Scored, Windowed } from '../ops/table.ts';
import type { Tensors } from './architecture.ts';
import type { DecoderSizes } from './config.ts';
import { createWeightTable } from './weight_table.ts';

/** Whether a matrix product has its bias beside it: `name.bias` is then asked for as `name.weight` is. */
export type Bias = 'bias' | 'no bias';

/** What a layer makes of its normed rows f [T, dim] behind attention: [T, dim]. */
export type FeedForward = (m: ReturnType<typeof createBlocks>, at: string, f: ValueId) => ValueId;

/** Numbers for each head and distance that are added to scores: [nHeads * (2 maxDistance + 1)], as op position_bias reads them. */
export interface DistanceBias {
  readonly numbers: ValueId;
  readonly maxDistance: number;
}

/**
 * The parts that decoders are put together from. A part is named like its tensors: `rmsNorm('blk.0.attn_norm', x, eps)` reads
 * blk.0.attn_norm.weight and gives the value blk.0.attn_norm. What one architecture alone does, its own file does with
 * `builder` and `table`.
 */
export function createBlocks(
  { nHeads, nKvHeads, headDim, ...sizes }: DecoderSizes,
  tensors: Tensors,
  activations: Activations,
  /** Tensors that no op reads, since the config has them by now. */
  foldedTensors: readonly string[] = [],
) {
  const b = createBuilder();
  const table = createWeightTable(b, tensors, foldedTensors);
  const ids = b.input('ids');
  const positions = b.input('positions');
  const outRows = b.input('outRows');

  /** y [T, nOut] = x W^T, and + its bias. */
  const linear = (name: string, x: ValueId, nOut: number, bias: Bias = 'no bias'): ValueId => {
    const y = b.linear(name, x, table.weight(`${name}.weight`, [nOut, b.widthOf(x)]), activations);
    return bias === 'bias' ? b.addBias(`${name}_biased`, y, table.weight(`${name}.bias`, [nOut])) : y;
  };
  /** x [T, n * headDim] -> [T, n, headDim] */
  const heads = (name: string, x: ValueId, n: number): ValueId => b.reshape(name, x, ['T', n, headDim]);

  return {
    builder: b,
    table,
    ids,
    positions,
    linear,
    heads,

    /** x: [T, dim]. Where a file has no token_embd.weight, its output.weight serves both ends. */
    embedding(): ValueId {
      const name = table.has('token_embd.weight') ? 'token_embd.weight' : 'output.weight';
      return b.embed('embedding', ids, table.weight(name, [sizes.vocab, sizes.dim]));
    },

    /** Over the last axis of x. */
    rmsNorm: (name: string, x: ValueId, eps: number): ValueId =>
      b.rmsNorm(name, x, table.weight(`${name}.weight`, [b.widthOf(x)]), eps),

    /** h [T, dim] -> q [T, nHeads, headDim], k and v [T, nKvHeads, headDim]: three products. */
    queryKeyValue(at: string, h: ValueId, bias: Bias = 'no bias') {
      const q = heads(`${at}.q`, linear(`${at}.attn_q`, h, nHeads * headDim, bias), nHeads);
      const k = heads(`${at}.k`, linear(`${at}.attn_k`, h, nKvHeads * headDim, bias), nKvHeads);
      const v = heads(`${at}.v`, linear(`${at}.attn_v`, h, nKvHeads * headDim, bias), nKvHeads);
      return { q, k, v };
    },

    /**
     * Attention over the cache: q [T, nHeads, headDim], k and v [T, nKvHeads, headDim] -> [T, nHeads * headDim].
     * keys, values: [S, nKvHeads, headDim]; scores, probs: [nHeads, T, S]. limits: the layer's window, and the cap of its scores.
     * bias: of distances, where scores have one.
     */
    attend(
      layer: number,
      { q, k, v }: { q: ValueId; k: ValueId; v: ValueId },
      scale: number,
      limits: Windowed & Pick<Scored, 'cap'> = {},
      bias?: DistanceBias,
    ): ValueId {
      const at = `blk.${layer}`;
      const keys = b.kvWriteK(`${at}.keys`, k, layer);
      const values = b.kvWriteV(`${at}.values`, v, layer);
      const products = b.attendScores(`${at}.scores`, q, keys, positions, scale, limits);
      const scores =
        bias === undefined
          ? products
          : b.positionBias(`${at}.scores_biased`, products, positions, bias.numbers, bias.maxDistance, limits);
      const probs = b.softmax(`${at}.probs`, scores, positions, limits);
      const mix = b.attendMix(`${at}.mix`, probs, values, positions, limits);
      return b.reshape(`${at}.heads`, mix, ['T', nHeads * headDim]);
    },

    /** f [T, dim] -> silu(gate) * up [T, hiddenDim] -> ffn_down [T, dim].  Source: Shazeer 2020, "GLU variants", 2. */
    swiglu(at: string, f: ValueId): ValueId {
      const gate = b.silu(`${at}.ffn_silu`, linear(`${at}.ffn_gate`, f, sizes.hiddenDim));
      const gated = b.mul(`${at}.ffn_gated`, gate, linear(`${at}.ffn_up`, f, sizes.hiddenDim));
      return linear(`${at}.ffn_down`, gated, sizes.dim);
    },

    /** The same with gelu_tanh for silu. */
    geglu(at: string, f: ValueId): ValueId {
      const gate = b.geluTanh(`${at}.ffn_gelu`, linear(`${at}.ffn_gate`, f, sizes.hiddenDim));
      const gated = b.mul(`${at}.ffn_gated`, gate, linear(`${at}.ffn_up`, f, sizes.hiddenDim));
      return linear(`${at}.ffn_down`, gated, sizes.dim);
    },

    /** A function that turns heads of T rows by the angles of `spec`. */
    rope(spec: RopeSpec, layout: 'pairs' | 'halves') {
      const angles = b.ropeTable(spec);
      return (name: string, x: ValueId): ValueId => b.rope(name, x, positions, layout, angles);
    },

    /**
     * normed [T, dim] -> logits [R, vocab], and the graph. Where a file has no output.weight, its token_embd.weight serves both ends.
     * cap: what logits are held under, where they are.
     */
    finish(normed: ValueId, cap?: number): Graph {
      const name = table.has('output.weight') ? 'output.weight' : 'token_embd.weight';
      const all = b.linear('output', normed, table.weight(name, [sizes.vocab, sizes.dim]), activations); // all: [T, vocab]
      const capped = cap === undefined ? all : b.softCap('output_capped', all, cap);
      const logits = b.takeRows('logits', capped, outRows);
      table.checkAllUsed();
      return b.finish(logits, { nLayers: sizes.nLayers, nKvHeads, headDim });
    },
  };
}
