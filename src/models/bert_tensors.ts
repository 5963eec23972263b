import { ShapeError } from '../core/errors.ts';
import { rowsOf } from '../load/derived_tensors.ts';
import type { JsonObject } from '../load/json_file.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { ggufNames, type HfNames } from '../load/names.ts';
import type { Tensors } from './architecture.ts';
import { MPNET, unusedPositions } from './bert_config.ts';
import { CLASSIFIER, POOLER } from './encoder_blocks.ts';
import { number } from './hf_config.ts';
import { renamed } from './hf_tensors.ts';
import { byDistance } from './t5_tensors.ts';

const EMBEDDINGS: HfNames['model'] = [
  ['embeddings.word_embeddings', 'token_embd'],
  ['embeddings.token_type_embeddings', 'token_types'],
  ['embeddings.position_embeddings', 'position_embd'],
  ['embeddings.LayerNorm', 'token_embd_norm'],
];

const BERT: HfNames = {
  model: [...EMBEDDINGS, ['pooler.dense', POOLER], ['classifier', CLASSIFIER]],
  layer: [
    ['attention.self.query', 'attn_q'],
    ['attention.self.key', 'attn_k'],
    ['attention.self.value', 'attn_v'],
    ['attention.output.dense', 'attn_output'],
    ['attention.output.LayerNorm', 'attn_output_norm'],
    ['intermediate.dense', 'ffn_up'],
    ['output.dense', 'ffn_down'],
    ['output.LayerNorm', 'layer_output_norm'],
  ],
  layers: 'encoder.layer',
};

/** Its head has a layer of its own; the pooler, where a file has it, is of no use. */
const ROBERTA: HfNames = {
  ...BERT,
  model: [...EMBEDDINGS, ['classifier.dense', POOLER], ['classifier.out_proj', CLASSIFIER]],
};

const DISTILBERT: HfNames = {
  model: EMBEDDINGS,
  layer: [
    ['attention.q_lin', 'attn_q'],
    ['attention.k_lin', 'attn_k'],
    ['attention.v_lin', 'attn_v'],
    ['attention.out_lin', 'attn_output'],
    ['sa_layer_norm', 'attn_output_norm'],
    ['ffn.lin1', 'ffn_up'],
    ['ffn.lin2', 'ffn_down'],
    ['output_layer_norm', 'layer_output_norm'],
  ],
  layers: 'transformer.layer',
};

/** What MPNet adds to the scores of all layers, a number for each head and distance. */
export const DISTANCES = 'attn_rel_b.weight';

/** Its heads are RoBERTa's; it has no types. */
const MPNET_NAMES: HfNames = {
  model: [
    ...ROBERTA.model.filter(([, name]) => name !== 'token_types'),
    ['encoder.relative_attention_bias', DISTANCES.replace('.weight', '')],
  ],
  layer: [
    ['attention.attn.q', 'attn_q'],
    ['attention.attn.k', 'attn_k'],
    ['attention.attn.v', 'attn_v'],
    ['attention.attn.o', 'attn_output'],
    ['attention.LayerNorm', 'attn_output_norm'],
    ['intermediate.dense', 'ffn_up'],
    ['output.dense', 'ffn_down'],
    ['output.LayerNorm', 'layer_output_norm'],
  ],
  layers: 'encoder.layer',
};

const NAMES: Readonly<Record<string, HfNames>> = {
  bert: BERT,
  roberta: ROBERTA,
  'xlm-roberta': ROBERTA,
  distilbert: DISTILBERT,
  mpnet: MPNET_NAMES,
};

/**
 * A folder's tensors under their GGUF names. Models that were saved as a part of another ("bert.encoder...") have its name in
 * front; norms of old checkpoints have gamma and beta. RoBERTa's and MPNet's positions begin behind the row of the padding id; MPNet's
 * buckets of distances become distances.
 * Throws UnsupportedError for a name that has no place, ShapeError for a table of positions that is too short.
 */
export function bertTensors(tensors: Tensors, config: JsonObject): Tensors {
  const type = String(config['model_type']);
  const nameOf = ggufNames(NAMES[type] ?? BERT);
  const hasOwnHead = type === 'roberta' || type === 'xlm-roberta' || type === 'mpnet';
  const plain = (name: string): string =>
    name
      .replace(/^(bert|roberta|distilbert|mpnet)\./, '')
      .replace(/LayerNorm\.gamma$/, 'LayerNorm.weight')
      .replace(/LayerNorm\.beta$/, 'LayerNorm.bias');
  // A list of 0, 1, 2, ..., and a pooler beside heads that do not read it.
  const isUnused = (name: string): boolean =>
    name === 'embeddings.position_ids' || (hasOwnHead && name.startsWith('pooler.'));
  const used = [...tensors].filter(([name]) => !isUnused(plain(name)));
  const result = new Map<string, TensorInfo>(renamed(new Map(used), (name) => nameOf(plain(name)), type));
  const positions = result.get('position_embd.weight');
  const nUnused = unusedPositions(config);
  if (positions === undefined) {
    throw new ShapeError(`tensor embeddings.position_embeddings.weight is missing; the folder is not complete`);
  }
  if (nUnused > 0) {
    result.set('position_embd.weight', rowsOf(positions, nUnused, positions.shape[0]! - nUnused));
  }
  const buckets = result.get(DISTANCES);
  if (buckets !== undefined) {
    result.set(DISTANCES, byDistance(buckets, { ...MPNET, nHeads: number(config, 'num_attention_heads') }, true));
  }
  return result;
}
