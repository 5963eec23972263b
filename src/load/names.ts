/**
 * Tensor names of Hugging Face's Llama family, in the words of GGUF, which are the engine's own.
 *
 *   model.embed_tokens.weight                 token_embd.weight
 *   model.layers.3.self_attn.q_proj.weight    blk.3.attn_q.weight
 *   model.norm.weight                         output_norm.weight
 *   lm_head.weight                            output.weight
 *
 * Only names are mapped. The rows of q and k are ordered for another layout of RoPE than in GGUF files: the graph's rope op
 * says which one, nothing is shuffled here.
 */

/** Outside the layers. */
const MODEL_PARTS: ReadonlyMap<string, string> = new Map([
  ['model.embed_tokens', 'token_embd'],
  ['model.norm', 'output_norm'],
  ['lm_head', 'output'],
]);

/** Inside `model.layers.N.` */
const LAYER_PARTS: ReadonlyMap<string, string> = new Map([
  ['input_layernorm', 'attn_norm'],
  ['self_attn.q_proj', 'attn_q'],
  ['self_attn.k_proj', 'attn_k'],
  ['self_attn.v_proj', 'attn_v'],
  ['self_attn.o_proj', 'attn_output'],
  ['post_attention_layernorm', 'ffn_norm'],
  ['mlp.gate_proj', 'ffn_gate'],
  ['mlp.up_proj', 'ffn_up'],
  ['mlp.down_proj', 'ffn_down'],
]);

/** "model.layers.12.mlp.up_proj": a layer number has no leading zero, so that two names never meet in one. */
const LAYER_NAME = /^model\.layers\.(0|[1-9]\d*)\.(.+)$/;

/** The GGUF name of a Hugging Face name; null when the Llama family has no such tensor, and the model must refuse it. */
export function ggufNameOf(hfName: string): string | null {
  const [, stem, kind] = /^(.+)\.(weight|bias)$/.exec(hfName) ?? [];
  if (stem === undefined) return null;
  const [, layer, layerStem] = LAYER_NAME.exec(stem) ?? [];
  if (layerStem === undefined) {
    const part = MODEL_PARTS.get(stem);
    return part === undefined ? null : `${part}.${kind}`;
  }
  const part = LAYER_PARTS.get(layerStem);
  return part === undefined ? null : `blk.${layer}.${part}.${kind}`;
}

/** Tables of RoPE frequencies that older checkpoints carry along; they follow from the config, which is what counts. */
export function isDerivedBuffer(hfName: string): boolean {
  return /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/.test(hfName);
}
