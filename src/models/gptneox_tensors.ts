import type { JsonObject } from '../load/json_file.ts';
import { ggufNames } from '../load/names.ts';
import type { Tensors } from './architecture.ts';
import { ungrouped, withoutConstants } from './gpt_tensors.ts';
import { gptNeoxConfigFromHf } from './gptneox_config.ts';
import { renamed } from './hf_tensors.ts';

const ggufNameOf = ggufNames({
  model: [
    ['gpt_neox.embed_in', 'token_embd'],
    ['gpt_neox.final_layer_norm', 'output_norm'],
    ['embed_out', 'output'],
  ],
  layer: [
    ['input_layernorm', 'attn_norm'],
    ['attention.query_key_value', 'attn_qkv'],
    ['attention.dense', 'attn_output'],
    ['post_attention_layernorm', 'ffn_norm'],
    ['mlp.dense_h_to_4h', 'ffn_up'],
    ['mlp.dense_4h_to_h', 'ffn_down'],
  ],
  layers: 'gpt_neox.layers',
});

/**
 * The tensors of a GPT-NeoX folder under their GGUF names: each head's rows of query_key_value stand together there.
 * Throws UnsupportedError for a name that has no place, and as gptNeoxConfigFromHf does.
 */
export function gptNeoxTensorsFromHf(tensors: Tensors, config: JsonObject): Tensors {
  return ungrouped(renamed(withoutConstants(tensors), ggufNameOf, 'gpt_neox'), gptNeoxConfigFromHf(config));
}
