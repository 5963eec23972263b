import { ShapeError, UnsupportedError } from '../core/errors.ts';
import { stacked } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { quote } from '../load/quote.ts';
import type { Tensors } from './architecture.ts';

/** "...layers.3.block_sparse_moe.experts.7.w1.weight": layer, expert, part. */
const EXPERT_TENSOR = /^model\.layers\.(0|[1-9]\d*)\.(.+)\.experts\.(0|[1-9]\d*)\.([a-z0-9_]+)\.weight$/;

/** Where an architecture's experts have their names in a Hugging Face folder. */
export interface ExpertNames {
  /** Between the layer's number and ".experts": "mlp". */
  readonly module: string;
  /** [Hugging Face, GGUF]: ['w1', 'ffn_gate_exps']. */
  readonly parts: readonly (readonly [string, string])[];
  readonly nExperts: number;
}

/**
 * A folder's tensors in which the matrices of each layer's experts are one tensor, under its GGUF name; and, apart, the rest under
 * the names that they have.
 * Throws ShapeError for an expert that is missing, UnsupportedError for one or a part that the config does not have.
 */
export function stackExperts(
  tensors: Tensors,
  { module, parts, nExperts }: ExpertNames,
): { readonly stacks: Map<string, TensorInfo>; readonly others: Map<string, TensorInfo> } {
  const partNames = new Map(parts);
  const others = new Map<string, TensorInfo>();
  const found = new Map<string, Map<number, TensorInfo>>();
  for (const [name, info] of tensors) {
    const [, layer, where, expert, part] = EXPERT_TENSOR.exec(name) ?? [];
    if (layer === undefined || where !== module) {
      others.set(name, info);
      continue;
    }
    const ggufPart = partNames.get(part!);
    if (ggufPart === undefined || Number(expert) >= nExperts) {
      throw new UnsupportedError(
        `tensor ${name} has no place among ${nExperts} experts of ${parts.map(([hf]) => hf).join(', ')}; the model is a variant`,
      );
    }
    const stack = `blk.${layer}.${ggufPart}.weight`;
    const members = found.get(stack) ?? new Map<number, TensorInfo>();
    found.set(stack, members.set(Number(expert), info));
  }
  const stacks = new Map<string, TensorInfo>();
  for (const [stack, members] of found) {
    if (members.size !== nExperts) {
      const missing = Array.from({ length: nExperts }, (_, e) => e).find((e) => !members.has(e));
      throw new ShapeError(`${quote(stack)}: expert ${missing} of ${nExperts} is missing; the folder is not complete`);
    }
    const inOrder = [...members].sort(([a], [b]) => a - b).map(([, info]) => info);
    stacks.set(stack, stacked(inOrder, 'new axis'));
  }
  return { stacks, others };
}
