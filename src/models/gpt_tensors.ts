import { elementType, rowsPermuted } from '../load/derived_tensors.ts';
import type { TensorInfo } from '../load/model_file.ts';
import type { Tensors } from './architecture.ts';

/** Constants that older checkpoints carry along: the causal mask, what masked scores are, and the rope's frequencies. */
const CONSTANTS = /\.(attn|attention|self_attention)\.(bias|masked_bias|rotary_emb\.inv_freq)$/;

/** The tensors of a folder without constants that follow from the config. */
export function withoutConstants(tensors: Tensors): Tensors {
  return new Map([...tensors].filter(([name]) => !CONSTANTS.test(name)));
}

/**
 * Row i of all queries, then all keys, then all values: where it is among rows that stand in groups, one for each kv head, of
 * its query heads, its key head and its value head.
 */
export function groupedRow(row: number, nHeads: number, nKvHeads: number, headDim: number): number {
  const groupHeads = nHeads / nKvHeads;
  const head = Math.floor(row / headDim);
  const [group, place] =
    head < nHeads
      ? [Math.floor(head / groupHeads), head % groupHeads]
      : [(head - nHeads) % nKvHeads, groupHeads + Math.floor((head - nHeads) / nKvHeads)];
  return (group * (groupHeads + 2) + place) * headDim + (row % headDim);
}

/**
 * The same tensors, weights and biases blk.N.attn_qkv out of groups. Those that have not the rows of the config stay, for the
 * graph to refuse.
 */
export function ungrouped(
  tensors: Tensors,
  { nHeads, nKvHeads, headDim }: { readonly nHeads: number; readonly nKvHeads: number; readonly headDim: number },
): Tensors {
  const nRows = (nHeads + 2 * nKvHeads) * headDim;
  const sourceRow = (row: number): number => groupedRow(row, nHeads, nKvHeads, headDim);
  const result = new Map<string, TensorInfo>();
  for (const [name, info] of tensors) {
    const isGrouped = /^blk\.\d+\.attn_qkv\.(weight|bias)$/.test(name) && info.shape[0] === nRows;
    result.set(name, isGrouped ? reordered(info, sourceRow) : info);
  }
  return result;
}

/** Rows of a matrix, or elements of a vector, which are rows of one. */
function reordered(info: TensorInfo, sourceRow: (row: number) => number): TensorInfo {
  if (info.shape.length !== 1) return rowsPermuted(info, sourceRow);
  elementType(info);
  return { ...rowsPermuted({ ...info, shape: [info.shape[0]!, 1] }, sourceRow), shape: info.shape };
}
