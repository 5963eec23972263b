import type { ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';
import { type Bias, createBlocks, type DistanceBias } from './blocks.ts';
import type { GptConfig } from './gpt_config.ts';

/** Blocks and, beside them, the parts that GPT-2, GPT-NeoX and Falcon are put together from. bias: whether products have one. */
export function createGptBlocks(config: GptConfig, tensors: Tensors, activations: Activations, bias: Bias) {
  const { dim, hiddenDim, nHeads, nKvHeads, headDim, normEps } = config;
  const m = createBlocks(config, tensors, activations);
  const b = m.builder;
  return {
    ...m,

    /** Over the last axis of x, with factors and a bias. */
    layerNorm(name: string, x: ValueId): ValueId {
      const width = b.widthOf(x);
      return b.layerNorm(
        name,
        x,
        m.table.weight(`${name}.weight`, [width]),
        m.table.weight(`${name}.bias`, [width]),
        normEps,
      );
    },

    /** One product whose rows are all queries, then all keys, then all values: h [T, dim] -> q, k, v as queryKeyValue has them. */
    mergedQueryKeyValue(at: string, h: ValueId) {
      const kvDim = nKvHeads * headDim;
      const all = m.linear(`${at}.attn_qkv`, h, dim + 2 * kvDim, bias);
      return {
        q: m.heads(`${at}.q`, b.slice(`${at}.attn_q`, all, 0, dim), nHeads),
        k: m.heads(`${at}.k`, b.slice(`${at}.attn_k`, all, dim, kvDim), nKvHeads),
        v: m.heads(`${at}.v`, b.slice(`${at}.attn_v`, all, dim + kvDim, kvDim), nKvHeads),
      };
    },

    /** Attention over the cache and its output product: q, k, v -> [T, dim]. distances: what scores have added. */
    attended(layer: number, qkv: { q: ValueId; k: ValueId; v: ValueId }, distances?: DistanceBias): ValueId {
      const mix = m.attend(layer, qkv, 1 / Math.sqrt(headDim), {}, distances); // mix: [T, dim]
      return m.linear(`blk.${layer}.attn_output`, mix, dim, bias);
    },

    /** f [T, dim] -> gelu(ffn_up) [T, hiddenDim] -> ffn_down [T, dim] */
    feedForward(at: string, f: ValueId): ValueId {
      const up = m.linear(`${at}.ffn_up`, f, hiddenDim, bias);
      const active = config.activation === 'gelu' ? b.gelu(`${at}.ffn_gelu`, up) : b.geluTanh(`${at}.ffn_gelu`, up);
      return m.linear(`${at}.ffn_down`, active, dim, bias);
    },
  };
}
