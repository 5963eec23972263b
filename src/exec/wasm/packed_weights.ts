import type { DType } from '../../core/dtype.ts';
import { assert } from '../../core/errors.ts';
import type { Graph, NodeOf, ValueId } from '../../graph/ir.ts';
import { readersOf } from '../../graph/rewrite.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { progressOver, type ReadOptions, readTensorBytes } from '../../load/weights.ts';
import { FORMATS } from '../../quant/formats.ts';
import { tensorsOf } from '../load_weights.ts';
import type { Arena } from './arena.ts';
import type { Kernels } from './kernels.ts';
import { packedBytes, panelCount } from './layout.ts';
import { packMatrix } from './repack.ts';

/** A matrix in its packed layout (layout.ts). */
export interface PackedMatrix {
  readonly dtype: DType;
  readonly address: number;
  readonly nOut: number;
  readonly nIn: number;
  readonly nPanels: number;
}

/** All weights of a graph in WASM memory. */
export interface PackedWeights {
  readonly nBytes: number;
  matrix(id: ValueId): PackedMatrix;
  /** Byte address of a one-axis weight, as f32. */
  vector(id: ValueId): number;
}

/** The formats of a graph's matrices, whose kernels it needs; weights of one axis are unpacked without kernels. */
export function matrixFormats(graph: Graph): ReadonlySet<DType> {
  return new Set(graph.nodes.flatMap((n) => (n.op === 'weight' && n.shape.length > 1 ? [n.dtype] : [])));
}

/**
 * Reads the weights straight into WASM memory: each matrix some rows at a time, packed as they come, so that the model is
 * never there twice. The parts of a concat_weights become one matrix.
 * Throws CapacityError, before anything is read, when the memory cannot hold them.
 */
export async function loadPackedWeights(
  graph: Graph,
  tensors: ReadonlyMap<string, TensorInfo>,
  kernels: Kernels,
  arena: Arena,
  options: ReadOptions,
): Promise<PackedWeights> {
  const infos = tensorsOf(graph, tensors);
  const totalBytes = [...infos.values()].reduce((n, info) => n + info.nBytes, 0);
  arena.checkRoom(totalBytes);
  const nextProgress = options.onProgress && progressOver(totalBytes, options.onProgress);
  const readOptions = (): ReadOptions => ({ ...options, onProgress: nextProgress?.() });
  const infoOf = (id: ValueId): TensorInfo => infos.get(graph.nodes[id]!.name)!;

  const readers = readersOf(graph);
  const packed = new Map<ValueId, PackedMatrix>();
  const vectors = new Map<ValueId, number>();
  let nBytes = 0;
  for (const [id, node] of graph.nodes.entries()) {
    if (node.op !== 'weight' && node.op !== 'concat_weights') continue;
    if (node.shape.length === 1) {
      vectors.set(id, await loadVector(node as NodeOf<'weight'>, infoOf(id), arena, readOptions()));
      nBytes += (node.shape[0] as number) * Float32Array.BYTES_PER_ELEMENT;
      continue;
    }
    const isPartOnly = readers[id]!.every((reader) => graph.nodes[reader]!.op === 'concat_weights');
    if (isPartOnly) continue;
    const [nOut, nIn] = node.shape as [number, number];
    const size = packedBytes(node.dtype, nOut, nIn);
    const address = arena.alloc(size);
    const parts = node.op === 'concat_weights' ? node.inputs.map(infoOf) : [infoOf(id)];
    await packMatrix(parts, node.dtype, nIn, address, kernels, arena, readOptions);
    packed.set(id, { dtype: node.dtype, address, nOut, nIn, nPanels: panelCount(node.dtype, nOut) });
    nBytes += size;
  }
  return {
    nBytes,
    matrix(id) {
      const found = packed.get(id);
      assert(found !== undefined, `matrix %${id} was packed`);
      return found;
    },
    vector(id) {
      const found = vectors.get(id);
      assert(found !== undefined, `vector %${id} was loaded`);
      return found;
    },
  };
}

async function loadVector(
  node: NodeOf<'weight'>,
  info: TensorInfo,
  arena: Arena,
  options: ReadOptions,
): Promise<number> {
  const n = node.shape[0] as number;
  const bytes = new Uint8Array(info.nBytes);
  await readTensorBytes(info, 0, bytes, options);
  const address = arena.alloc(n * Float32Array.BYTES_PER_ELEMENT);
  FORMATS[node.dtype].unpack(bytes, 0, arena.f32(address, n), 0, n);
  return address;
}
