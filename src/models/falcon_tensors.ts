import type { JsonObject } from '../load/json_file.ts';
import { ggufNames } from '../load/names.ts';
import type { Tensors } from './architecture.ts';
import { falconConfigFromHf } from './falcon_config.ts';
import { ungrouped, withoutConstants } from './gpt_tensors.ts';
import { renamed } from './hf_tensors.ts';

/**
 * The tensors of a Falcon folder under their GGUF names: the rows of query_key_value stand in groups there, one for each kv
 * head. A layer with two norms has other names for them.
 * Throws UnsupportedError for a name that has no place, and as falconConfigFromHf does.
 */
export function falconTensorsFromHf(tensors: Tensors, hfConfig: JsonObject): Tensors {
  const config = falconConfigFromHf(hfConfig);
  const norms: [string, string][] =
    config.nNorms === 1
      ? [['input_layernorm', 'attn_norm']]
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
  return ungrouped(renamed(withoutConstants(tensors), nameOf, 'falcon'), config);
}
