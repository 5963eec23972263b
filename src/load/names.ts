/**
 * Tensor names of Hugging Face models in the words of GGUF, which are the engine's own. Of the Llama family:
 *
 *   model.embed_tokens.weight                 token_embd.weight
 *   model.layers.3.self_attn.q_proj.weight    blk.3.attn_q.weight
 *   model.norm.weight                         output_norm.weight
 *   lm_head.weight                            output.weight
 *
 * Only names are mapped. The rows of q and k are ordered for another layout of RoPE than in GGUF files: the graph's rope op
 * says which one, nothing is shuffled here.
 */

/** Where an architecture's parts have their names: pairs [Hugging Face, GGUF]. */
export interface HfNames {
  /** Outside the layers. */
  readonly model: readonly (readonly [string, string])[];
  /** Inside a layer, behind its number. */
  readonly layer: readonly (readonly [string, string])[];
  /** What stands before the layer's number. */
  readonly layers: string;
}

export const LLAMA_NAMES: HfNames = {
  model: [
    ['model.embed_tokens', 'token_embd'],
    ['model.norm', 'output_norm'],
    ['lm_head', 'output'],
  ],
  layer: [
    ['input_layernorm', 'attn_norm'],
    ['self_attn.q_proj', 'attn_q'],
    ['self_attn.k_proj', 'attn_k'],
    ['self_attn.v_proj', 'attn_v'],
    ['self_attn.o_proj', 'attn_output'],
    ['post_attention_layernorm', 'ffn_norm'],
    ['mlp.gate_proj', 'ffn_gate'],
    ['mlp.up_proj', 'ffn_up'],
    ['mlp.down_proj', 'ffn_down'],
  ],
  layers: 'model.layers',
};

/**
 * A function from a Hugging Face name to its GGUF name; null when the architecture has no such tensor, and the model must
 * refuse it. Each part has a weight or a bias: which of them the model has is for its graph to say.
 */
export function ggufNames({ model, layer, layers }: HfNames): (hfName: string) => string | null {
  const modelParts = new Map(model);
  const layerParts = new Map(layer);
  return (hfName) => {
    const [, stem, kind] = /^(.+)\.(weight|bias)$/.exec(hfName) ?? [];
    if (stem === undefined) return null;
    const inLayer = stem.startsWith(`${layers}.`) ? LAYER_PART.exec(stem.slice(layers.length)) : null;
    if (inLayer === null) {
      const part = modelParts.get(stem);
      return part === undefined ? null : `${part}.${kind}`;
    }
    const part = layerParts.get(inLayer[2]!);
    return part === undefined ? null : `blk.${inLayer[1]}.${part}.${kind}`;
  };
}

/** ".12.mlp.up_proj": a layer number has no leading zero, so that two names never meet in one. */
const LAYER_PART = /^\.(0|[1-9]\d*)\.(.+)$/;

/** The GGUF name of a tensor of the Llama family, null when it has none. */
export const ggufNameOf = ggufNames(LLAMA_NAMES);

/** Tables of RoPE frequencies that older checkpoints carry along; they follow from the config, which is what counts. */
export function isDerivedBuffer(hfName: string): boolean {
  return /^model\.(layers\.\d+\.self_attn\.)?rotary_emb\.inv_freq$/.test(hfName);
}
