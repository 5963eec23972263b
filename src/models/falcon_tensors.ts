import type { JsonObject } from '../load/json_file.ts';
import { ggufNames } from '../load/names.ts';
import { ALIBI, alibiTensor } from './alibi.ts';
import type { Tensors } from './architecture.ts';
import { type FalconConfig, falconConfigFromHf } from './falcon_config.ts';
import { ungrouped, withoutConstants } from './gpt_tensors.ts';
import { renamed } from './hf_tensors.ts';

/**
 * The tensors of a Falcon folder under their GGUF names: the rows of query_key_value stand in groups there, one for each kv
 * head. A layer with two norms has other names for them. ALiBi's numbers are beside them.
 * Throws UnsupportedError for a name that has no place, and as falconConfigFromHf does.
 */
export function falconTensorsFromHf(tensors: Tensors, hfConfig: JsonObject): Tensors {
  const config = falconConfigFromHf(hfConfig);
  const norms: [string, string][] =
    config.nNorms === 1
      ? [
          ['input_layernorm', 'attn_norm'],
          ['post_attention_layernorm', 'ffn_norm'], // where feed-forward follows attention
        ]
      : [
          ['ln_mlp', 'attn_norm'],
          ['ln_attn', 'attn_norm_2'],
        ];
  const nameOf = ggufNames({
    model: [
      ['transformer.word_embeddings', 'token_embd'],
      ['transformer.ln_f', 'output_norm'],
      ['lm_head', 'output'],
    ],
    layer: [
      ...norms,
      ['self_attention.query_key_value', 'attn_qkv'],
      ['self_attention.dense', 'attn_output'],
      ['mlp.dense_h_to_4h', 'ffn_up'],
      ['mlp.dense_4h_to_h', 'ffn_down'],
    ],
    layers: 'transformer.h',
  });
  const named = ungrouped(renamed(withoutConstants(tensors), nameOf, 'falcon'), config);
  const [beside] = named.values();
  if (config.places === 'rope' || beside === undefined) return named;
  // Falcon puts scores and ALiBi together over sqrt(headDim).
  const numbers = alibiTensor(beside, config.nHeads, farthest(config), 1 / Math.sqrt(config.headDim));
  return new Map([...named, [ALIBI, numbers]]);
}

/** No two rows of a text are further apart. */
export function farthest({ maxContext }: FalconConfig): number {
  return Math.max(maxContext - 1, 1);
}
