import type { Graph, ValueId } from '../graph/ir.ts';
import type { Activations } from '../ops/linear.ts';
import type { Tensors } from './architecture.ts';
import { createBlocks } from './blocks.ts';
import type { EncoderConfig, EncoderOutput } from './encoder.ts';

/** The parts of a classification head: a layer over the start token's row, and the one that gives scores. */
export const POOLER = 'cls';
export const CLASSIFIER = 'cls.output';

/**
 * The parts that encoders are put together from: those of decoders (models/blocks.ts), norms with a mean, the sum of several
 * embeddings, and an end that gives rows or scores.
 */
export function createEncoderBlocks(
  config: EncoderConfig,
  tensors: Tensors,
  activations: Activations,
  output: EncoderOutput,
) {
  const isHead = (name: string): boolean => name.startsWith(`${POOLER}.`);
  const unread = output === 'rows' ? [...tensors.keys()].filter(isHead) : [];
  const blocks = createBlocks({ ...config, nKvHeads: config.nHeads }, tensors, activations, unread);
  const { builder: b, table, ids, positions, linear } = blocks;

  const layerNorm = (name: string, x: ValueId): ValueId => {
    const [g, bias] = ['weight', 'bias'].map((kind) => table.weight(`${name}.${kind}`, [config.dim]));
    return b.layerNorm(name, x, g!, bias!, config.normEps);
  };

  return {
    ...blocks,
    layerNorm,

    /** One product whose rows are all queries, then all keys, then all values: h [T, dim] -> q, k, v as queryKeyValue has them. */
    mergedQueryKeyValue(at: string, h: ValueId): { q: ValueId; k: ValueId; v: ValueId } {
      const { dim, nHeads } = config;
      const all = linear(`${at}.attn_qkv`, h, 3 * dim);
      const columns = (name: string, i: number): ValueId =>
        blocks.heads(`${at}.${name}`, b.slice(`${at}.attn_${name}`, all, i * dim, dim), nHeads);
      return { q: columns('q', 0), k: columns('k', 1), v: columns('v', 2) };
    },

    /** Of the words, where the model has them + of the types, where it adds them + of the positions, in this order; normed. x: [T, dim]. */
    embeddings(addsPositions: boolean): ValueId {
      let x = b.embed('words', ids, table.weight('token_embd.weight', [config.vocab, config.dim]));
      const types = tensors.get('token_types.weight');
      if (types !== undefined) {
        const rows = table.weight('token_types.weight', [types.shape[0]!, config.dim]);
        x = b.add('words.typed', x, b.embed('types', b.input('types'), rows));
      }
      if (addsPositions) {
        const rows = table.weight('position_embd.weight', [config.maxContext, config.dim]);
        x = b.add('words.placed', x, b.embed('places', positions, rows));
      }
      return layerNorm('token_embd_norm', x);
    },

    /**
     * The rows that a run asks for, [R, dim], or their scores, [R, nScores]:
     *   tanh(row W^T + b) W'^T + b'
     * Source of the head: Devlin et al. 2018, "BERT", section 4.1; its tanh is in google-research/bert modeling.py.
     */
    finish(x: ValueId): Graph {
      let y = b.takeRows('rows', x, b.input('outRows')); // y: [R, dim]
      if (output === 'scores') {
        const nScores = tensors.get(`${CLASSIFIER}.weight`)?.shape[0] ?? 1;
        const pooled = b.tanh('pooled', linear(POOLER, y, config.dim, 'bias'));
        y = linear(CLASSIFIER, pooled, nScores, 'bias');
      }
      table.checkAllUsed();
      return b.finish(y, { nLayers: config.nLayers, nKvHeads: config.nHeads, headDim: config.headDim });
    },
  };
}
