import { rowsPermuted } from '../load/derived_tensors.ts';
import type { LoraFile, LoraPair } from '../load/lora.ts';
import { ggufNameOf } from '../load/names.ts';
import type { ModelDescription } from '../models/architectures.ts';
import { groupedRow } from '../models/gpt_tensors.ts';

/** The weight that a pair changes, by the model's name, and the pair in the model's layout. */
export interface AdapterPlace {
  readonly weight: string;
  readonly pair: LoraPair;
}

/** Architectures whose GGUF files have the matrices of their folders under the names of load/names.ts, q and k permuted for rope on pairs. */
const LLAMA_LIKE: readonly string[] = ['llama', 'smollm3', 'qwen2', 'qwen3', 'olmo2', 'gemma', 'gemma2', 'gemma3'];

/** Folders whose rows of queries, keys and values stand in groups (models/gpt_tensors.ts). */
const HAVE_GROUPS: readonly string[] = ['gpt_neox', 'falcon'];

/** Whether an adapter in `format` can be placed on the model at all. */
export function isPlaceable(model: ModelDescription, format: LoraFile['format']): boolean {
  if (model.hfNames === undefined) return format === 'gguf' || LLAMA_LIKE.includes(model.architecture);
  return format === 'safetensors';
}

/** Where the pair for `name`, a weight in the words of the adapter's format, belongs; undefined where the model has no such place. */
export function placeOf(
  model: ModelDescription,
  format: LoraFile['format'],
  name: string,
  pair: LoraPair,
): AdapterPlace | undefined {
  if (model.hfNames !== undefined) {
    const weight = model.hfNames.get(name);
    return weight === undefined ? placeOfDerived(model, name, pair) : { weight, pair };
  }
  if (format === 'gguf') return { weight: name, pair };
  const weight = ggufNameOf(name);
  if (weight === null) return undefined;
  const isPermuted = hasPairs(model) && /\.attn_[qk]\.weight$/.test(weight);
  return { weight, pair: isPermuted ? { ...pair, b: asPairs(pair.b, model.config.headDim) } : pair };
}

/**
 * A matrix that the model has in another layout than its folder. GPT-2's own files have theirs as [in, out], and PEFT's pairs are
 * [rank, in] and [out, rank] all the same (fan_in_fan_out): B A fits once the matrix is transposed. OpenAI's files have no "transformer."
 * before their names. GPT-NeoX and Falcon have the rows of queries, keys and values in groups, and B has them so too.
 */
function placeOfDerived({ architecture, tensors, config }: ModelDescription, name: string, pair: LoraPair) {
  const names = architecture === 'gpt2' ? [name, name.replace(/^transformer\./, '')] : [name];
  const weight = [...tensors].find(([, info]) => info.shape.length === 2 && names.includes(info.name))?.[0];
  if (weight === undefined) return undefined;
  if (architecture === 'gpt2') return { weight, pair };
  if (!HAVE_GROUPS.includes(architecture) || !weight.endsWith('.attn_qkv.weight')) return undefined;
  const { nHeads, nKvHeads, headDim } = config;
  return { weight, pair: { ...pair, b: rowsPermuted(pair.b, (row) => groupedRow(row, nHeads, nKvHeads, headDim)) } };
}

function hasPairs({ config }: ModelDescription): boolean {
  return 'ropeLayout' in config && config.ropeLayout === 'pairs';
}

/** Rows 2 i and 2 i + 1 of a head are rows i and i + headDim / 2 of a folder's.  Source: llama.cpp, convert_hf_to_gguf.py, permute. */
function asPairs(b: LoraPair['b'], headDim: number): LoraPair['b'] {
  return rowsPermuted(b, (row) => {
    const at = row % headDim;
    return row - at + (at % 2) * (headDim / 2) + Math.floor(at / 2);
  });
}
