import type { TensorInfo } from '../load/model_file.ts';
import { ggufNames } from '../load/names.ts';
import { transposed } from '../load/transposed.ts';
import type { Tensors } from './architecture.ts';
import { withoutConstants } from './gpt_tensors.ts';
import { renamed } from './hf_tensors.ts';

/**
 * The tensors of a GPT-2 folder under their GGUF names.
 *
 * GPT-2's own files have matrices as [nIn, nOut] ("Conv1D"), which are transposed here; folders of other trainers, which have
 * the same names, have them as [nOut, nIn]. attn.c_attn is three times as wide as high, or as high as wide: it says which.
 * Throws UnsupportedError for a name that has no place.
 */
export function gpt2TensorsFromHf(tensors: Tensors): Tensors {
  // The bare model's files have no prefix.
  const prefix = tensors.has('wte.weight') ? '' : 'transformer.';
  const nameOf = ggufNames({
    model: [
      [`${prefix}wte`, 'token_embd'],
      [`${prefix}wpe`, 'position_embd'],
      [`${prefix}ln_f`, 'output_norm'],
      ['lm_head', 'output'],
    ],
    layer: [
      ['ln_1', 'attn_norm'],
      ['attn.c_attn', 'attn_qkv'],
      ['attn.c_proj', 'attn_output'],
      ['ln_2', 'ffn_norm'],
      ['mlp.c_fc', 'ffn_up'],
      ['mlp.c_proj', 'ffn_down'],
    ],
    layers: `${prefix}h`,
  });
  const named = renamed(withoutConstants(tensors), nameOf, 'gpt2');
  const [height, width] = named.get('blk.0.attn_qkv.weight')?.shape ?? [];
  if (height === undefined || width !== 3 * height) return named;
  return new Map(
    [...named].map(([name, info]): [string, TensorInfo] => [name, isProduct(name) ? transposed(info) : info]),
  );
}

function isProduct(name: string): boolean {
  return /^blk\.\d+\.(attn_qkv|attn_output|ffn_up|ffn_down)\.weight$/.test(name);
}
