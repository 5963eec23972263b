import { bufferSource } from '../../src/core/host.ts';
import { openGguf } from '../../src/load/gguf.ts';
import type { HfFolder } from '../../src/load/hf_folder.ts';
import type { JsonObject } from '../../src/load/json_file.ts';
import type { ModelFile, TensorInfo } from '../../src/load/model_file.ts';
import type { RandomArchitectureName } from '../../src/load/random_architectures.ts';
import { describeGguf, describeHfFolder, type ModelDescription } from '../../src/models/architectures.ts';
import { fileOfCase, LAYOUTS } from './architecture_cases.ts';

/** The parts of a model by their names in GGUF files and in the folders of the Llama family's relatives. */
export const USUAL_PARTS: Readonly<Record<string, string>> = {
  token_embd: 'model.embed_tokens',
  output_norm: 'model.norm',
  output: 'lm_head',
  attn_norm: 'input_layernorm',
  attn_q: 'self_attn.q_proj',
  attn_k: 'self_attn.k_proj',
  attn_v: 'self_attn.v_proj',
  attn_output: 'self_attn.o_proj',
  ffn_norm: 'post_attention_layernorm',
  ffn_gate: 'mlp.gate_proj',
  ffn_up: 'mlp.up_proj',
  ffn_down: 'mlp.down_proj',
};

/** The sizes of a random file's layout as config.json has them. */
export function hfSizes(layout: keyof typeof LAYOUTS): JsonObject {
  const { vocab, dim, hiddenDim, nLayers, nHeads, nKvHeads, maxContext, tied } = LAYOUTS[layout];
  return {
    vocab_size: vocab,
    hidden_size: dim,
    intermediate_size: hiddenDim,
    num_hidden_layers: nLayers,
    num_attention_heads: nHeads,
    num_key_value_heads: nKvHeads,
    max_position_embeddings: maxContext,
    // What a GGUF file has is an f32.
    rms_norm_eps: Math.fround(1e-5),
    tie_word_embeddings: tied,
  };
}

/** What a folder with this config.json and these tensors is. */
export function describeFolder(
  config: JsonObject,
  tensors: ReadonlyMap<string, TensorInfo>,
): Promise<ModelDescription> {
  const weights = {
    format: 'safetensors' as const,
    name: 'model',
    metadata: new Map(),
    tensors,
    close: async () => {},
  };
  const none = { tokenizerJson: null, tokenizerConfig: null, generationConfig: null, preprocessorConfig: null };
  const folder: HfFolder = { ...none, config, weights, chatTemplate: null };
  return describeHfFolder(folder);
}

/** A random GGUF file as a model, and its tensors under the names that they have in a folder. */
export async function ggufAndFolderTensors(
  architecture: RandomArchitectureName,
  layout: keyof typeof LAYOUTS,
  parts: Readonly<Record<string, string>> = USUAL_PARTS,
): Promise<{ gguf: ModelDescription; tensors: Map<string, TensorInfo> }> {
  const gguf = await describeGguf(await fileOf(architecture, layout));
  const tensors = new Map<string, TensorInfo>();
  for (const [name, info] of gguf.tensors) {
    const [, layer, part, kind] = /^(?:blk\.(\d+)\.)?(.+)\.(weight|bias)$/.exec(name)!;
    const hfPart = parts[part!];
    if (hfPart === undefined) continue; // GGUF's alone, such as factors that config.json has
    tensors.set(`${layer === undefined ? '' : `model.layers.${layer}.`}${hfPart}.${kind}`, info);
  }
  return { gguf, tensors };
}

const files = new Map<string, Promise<ModelFile>>();

/** Each file is made once: most tests look at its directory alone. */
function fileOf(architecture: RandomArchitectureName, layout: keyof typeof LAYOUTS): Promise<ModelFile> {
  const key = `${architecture} ${layout}`;
  const made =
    files.get(key) ?? openGguf(bufferSource('x.gguf', fileOfCase({ architecture, layout, format: 'f32', seed: 1 })));
  files.set(key, made);
  return made;
}
