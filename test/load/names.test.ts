import { expect, test } from 'vitest';
import { ggufNameOf, isDerivedBuffer } from '../../src/load/names.ts';

/** Hugging Face name -> GGUF name, as the two projects' own converters have them. */
const NAMES: Record<string, string> = {
  'model.embed_tokens.weight': 'token_embd.weight',
  'model.layers.0.input_layernorm.weight': 'blk.0.attn_norm.weight',
  'model.layers.1.self_attn.q_proj.weight': 'blk.1.attn_q.weight',
  'model.layers.2.self_attn.k_proj.weight': 'blk.2.attn_k.weight',
  'model.layers.10.self_attn.v_proj.weight': 'blk.10.attn_v.weight',
  'model.layers.127.self_attn.o_proj.weight': 'blk.127.attn_output.weight',
  'model.layers.0.self_attn.q_proj.bias': 'blk.0.attn_q.bias',
  'model.layers.0.self_attn.o_proj.bias': 'blk.0.attn_output.bias',
  'model.layers.0.post_attention_layernorm.weight': 'blk.0.ffn_norm.weight',
  'model.layers.0.mlp.gate_proj.weight': 'blk.0.ffn_gate.weight',
  'model.layers.0.mlp.up_proj.weight': 'blk.0.ffn_up.weight',
  'model.layers.0.mlp.down_proj.weight': 'blk.0.ffn_down.weight',
  'model.layers.0.mlp.down_proj.bias': 'blk.0.ffn_down.bias',
  'model.norm.weight': 'output_norm.weight',
  'lm_head.weight': 'output.weight',
};

test('every tensor of the Llama family has its GGUF name, and no two names meet', () => {
  for (const [hf, gguf] of Object.entries(NAMES)) expect(ggufNameOf(hf)).toBe(gguf);
  expect(new Set(Object.values(NAMES)).size).toBe(Object.keys(NAMES).length);
});

test('other names are null, never guessed', () => {
  const unknown = [
    '',
    'weight',
    'lm_head',
    'lm_head.weights',
    'model.embed_tokens',
    'model.layers.0.self_attn.q_proj.weight.scale',
    'model.layers.00.self_attn.q_proj.weight',
    'model.layers.-1.self_attn.q_proj.weight',
    'model.layers.self_attn.q_proj.weight',
    'model.layers.0.self_attn.w_proj.weight',
    'model.layers.0.constructor.weight',
    'constructor.weight',
    'transformer.h.0.attn.c_attn.weight',
    'token_embd.weight',
    'xmodel.norm.weight',
    'model.layers.0.self_attn.rotary_emb.inv_freq',
  ];
  for (const name of unknown) expect(ggufNameOf(name), name).toBeNull();
});

test('tables of RoPE frequencies are known, and nothing else is', () => {
  expect(isDerivedBuffer('model.layers.3.self_attn.rotary_emb.inv_freq')).toBe(true);
  expect(isDerivedBuffer('model.rotary_emb.inv_freq')).toBe(true);
  expect(isDerivedBuffer('model.layers.3.self_attn.q_proj.weight')).toBe(false);
  expect(isDerivedBuffer('rotary_emb.inv_freq.weight')).toBe(false);
});
