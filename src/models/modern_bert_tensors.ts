import { bufferSource } from '../core/host.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { ggufNames } from '../load/names.ts';
import type { Tensors } from './architecture.ts';
import { renamed } from './hf_tensors.ts';

const nameOf = ggufNames({
  model: [
    ['embeddings.tok_embeddings', 'token_embd'],
    ['embeddings.norm', 'token_embd_norm'],
    ['final_norm', 'output_norm'],
  ],
  layer: [
    ['attn_norm', 'attn_norm'],
    ['attn.Wqkv', 'attn_qkv'],
    ['attn.Wo', 'attn_output'],
    ['mlp_norm', 'ffn_norm'],
    ['mlp.Wi', 'ffn_up'],
    ['mlp.Wo', 'ffn_down'],
  ],
  layers: 'layers',
});

/** A folder's tensors under their GGUF names. Throws UnsupportedError for a name that has no place: heads have none. */
export function modernBertTensors(tensors: Tensors): Tensors {
  return withoutBiases(renamed(tensors, (name) => nameOf(name.replace(/^model\./, '')), 'modernbert'));
}

const F32_BYTES = 4;

/** Its norms have no bias, the op layer_norm adds one: each norm gets a bias of zeros beside it, which changes no bit but that of -0. */
export function withoutBiases(tensors: Tensors): Tensors {
  const result = new Map<string, TensorInfo>(tensors);
  for (const [name, { shape }] of tensors) {
    if (!name.endsWith('norm.weight') || shape.length !== 1) continue;
    const bias = name.replace(/weight$/, 'bias');
    if (tensors.has(bias)) continue; // the graph's builder reads it as it is
    const nBytes = shape[0]! * F32_BYTES;
    const source = bufferSource(bias, new Uint8Array(nBytes));
    result.set(bias, { name: bias, type: 'f32', shape, source, offset: 0, nBytes });
  }
  return result;
}
