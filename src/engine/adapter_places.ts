import { rowsPermuted } from '../load/derived_tensors.ts';
import type { LoraFile, LoraPair } from '../load/lora.ts';
import { ggufNameOf } from '../load/names.ts';
import type { ModelDescription } from '../models/architectures.ts';

/** The weight that a pair changes, by the model's name, and the pair in the model's layout. */
export interface AdapterPlace {
  readonly weight: string;
  readonly pair: LoraPair;
}

/** Architectures whose GGUF files have the matrices of their folders under the names of load/names.ts, q and k permuted for rope on pairs. */
const LLAMA_LIKE: readonly string[] = ['llama', 'smollm3', 'qwen2', 'qwen3', 'olmo2', 'gemma', 'gemma2', 'gemma3'];

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
    const weight = model.hfNames.get(name) ?? transposedOf(model, name);
    return weight === undefined ? undefined : { weight, pair };
  }
  if (format === 'gguf') return { weight: name, pair };
  const weight = ggufNameOf(name);
  if (weight === null) return undefined;
  const isPermuted = hasPairs(model) && /\.attn_[qk]\.weight$/.test(weight);
  return { weight, pair: isPermuted ? { ...pair, b: asPairs(pair.b, model.config.headDim) } : pair };
}

/**
 * A matrix of GPT-2's own files, which they have as [in, out], and PEFT's pairs as [rank, in] and [out, rank] all the same
 * (fan_in_fan_out): B A fits it once it is transposed. OpenAI's files have no "transformer." before their names.
 */
function transposedOf({ architecture, tensors }: ModelDescription, name: string): string | undefined {
  if (architecture !== 'gpt2') return undefined;
  const names = [name, name.replace(/^transformer\./, '')];
  return [...tensors].find(([, info]) => info.shape.length === 2 && names.includes(info.name))?.[0];
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
