import { assert, CapacityError } from '../core/errors.ts';
import type { Weight } from '../core/tensor.ts';
import type { Graph } from '../graph/ir.ts';
import type { TensorInfo } from '../load/model_file.ts';
import { dtypeOf, progressOver, type ReadOptions, readTensorBytes } from '../load/weights.ts';

/** The tensors that a graph reads, by the graph's names (a Hugging Face file has other ones) and in its order. */
export function tensorsOf(graph: Graph, tensors: ReadonlyMap<string, TensorInfo>): Map<string, TensorInfo> {
  const found = new Map<string, TensorInfo>();
  for (const node of graph.nodes) {
    if (node.op !== 'weight') continue;
    const info = tensors.get(node.name);
    assert(info !== undefined, `the file has ${node.name}, since the graph was built from it`);
    found.set(node.name, info);
  }
  return found;
}

/** Reads all weights of a graph as their file has them: for the naive executors. */
export async function loadWeights(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorInfo>,
  options: ReadOptions = {},
): Promise<Map<string, Weight>> {
  const infos = tensorsOf(graph, tensors);
  const totalBytes = [...infos.values()].reduce((n, info) => n + info.nBytes, 0);
  const next = options.onProgress && progressOver(totalBytes, options.onProgress);
  const weights = new Map<string, Weight>();
  for (const [name, info] of infos) {
    let bytes: Uint8Array;
    try {
      bytes = new Uint8Array(info.nBytes);
    } catch {
      throw new CapacityError(
        `tensor ${info.name} needs ${info.nBytes} bytes, more than one buffer of this host can have`,
      );
    }
    await readTensorBytes(info, 0, bytes, { signal: options.signal, onProgress: next?.() });
    weights.set(name, { name, dtype: dtypeOf(info), shape: info.shape, bytes });
  }
  return weights;
}
