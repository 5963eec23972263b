import { type DType, rowBytes } from '../../core/dtype.ts';
import { assert } from '../../core/errors.ts';
import type { Graph, NodeOf, ValueId } from '../../graph/ir.ts';
import { readersOf } from '../../graph/rewrite.ts';
import type { TensorInfo } from '../../load/model_file.ts';
import { progressOver, type ReadOptions } from '../../load/weights.ts';
import type { Format } from '../../quant/formats.ts';
import { tensorsOf } from '../load_weights.ts';
import type { Arena } from './arena.ts';
import type { Kernels } from './kernels.ts';
import { packedBytes, panelCount, VECTOR_BYTES } from './layout.ts';
import { type Chunk, readAhead, withStaging } from './read_ahead.ts';
import { chunkBytes, matrixChunks, type PackTarget } from './repack.ts';

/** A matrix in its packed layout (layout.ts), or those of several experts one behind the other. */
export interface PackedMatrix {
  readonly dtype: DType;
  readonly address: number;
  readonly nOut: number;
  readonly nIn: number;
  readonly nPanels: number;
  /** Of one matrix: where the next expert's begins. */
  readonly nBytes: number;
  /** 1 where it is no weight of experts. */
  readonly nExperts: number;
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
 * All memory is taken before the first read, and does not grow until the last one.
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
  const infoOf = (id: ValueId): TensorInfo => infos.get(graph.nodes[id]!.name)!;
  const { nBytes, stagingBytes } = weightsNeed(graph);
  arena.reserve(nBytes + stagingBytes);

  // Loaded with the first model: all formats are more than the rest of what a page needs at once.
  const { FORMATS } = await import('../../quant/formats.ts');
  const packed = new Map<ValueId, PackedMatrix>();
  const vectors = new Map<ValueId, number>();
  const chunks: Chunk[] = [];
  for (const { id, node } of heldWeights(graph)) {
    if (node.shape.length === 1) {
      const address = arena.alloc((node.shape[0] as number) * Float32Array.BYTES_PER_ELEMENT);
      vectors.set(id, address);
      chunks.push(vectorChunk(infoOf(id), node, address, arena, FORMATS[node.dtype].unpack));
      continue;
    }
    const { dtype } = node;
    const { nExperts, nOut, nIn, nBytes } = sizesOf(node);
    const matrix = { dtype, address: arena.alloc(nExperts * nBytes), nOut, nIn };
    packed.set(id, { ...matrix, nPanels: panelCount(dtype, nOut), nBytes, nExperts });
    const parts = node.op === 'concat_weights' ? node.inputs.map(infoOf) : [infoOf(id)];
    if (nExperts === 1) chunks.push(...matrixChunks(parts, matrix, kernels));
    else chunks.push(...parts.flatMap((all) => expertChunks(all, nExperts, nBytes, matrix, kernels)));
  }

  const totalBytes = [...infos.values()].reduce((n, info) => n + info.nBytes, 0);
  const nextProgress = options.onProgress && progressOver(totalBytes, options.onProgress);
  const readOptions = (): ReadOptions => ({ ...options, onProgress: nextProgress?.() });
  await withStaging(arena, stagingBytes, (staging) => readAhead(chunks, staging, arena, readOptions));
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

interface HeldWeight {
  readonly id: ValueId;
  readonly node: NodeOf<'weight' | 'concat_weights'>;
}

/** What lies in memory: all weights but those that are only parts of a merged one. */
function heldWeights(graph: Graph): HeldWeight[] {
  const readers = readersOf(graph);
  return graph.nodes.flatMap((node, id) => {
    if (node.op !== 'weight' && node.op !== 'concat_weights') return [];
    const isPartOnly = node.shape.length > 1 && readers[id]!.every((r) => graph.nodes[r]!.op === 'concat_weights');
    return isPartOnly ? [] : [{ id, node }];
  });
}

/**
 * Bytes of a graph's weights in WASM memory, and of the buffer that they pass through.
 * Throws CapacityError when a matrix alone is beyond 4 GiB.
 */
export function weightsNeed(graph: Graph): { readonly nBytes: number; readonly stagingBytes: number } {
  let nBytes = 0;
  let stagingBytes = 0;
  for (const { node } of heldWeights(graph)) {
    if (node.shape.length === 1) {
      const nOut = node.shape[0] as number;
      nBytes += roundUpToVector(nOut * Float32Array.BYTES_PER_ELEMENT);
      stagingBytes = Math.max(stagingBytes, rowBytes(node.dtype, nOut));
    } else {
      const { nExperts, nOut, nIn, nBytes: ofOne } = sizesOf(node);
      nBytes += roundUpToVector(nExperts * ofOne);
      stagingBytes = Math.max(stagingBytes, chunkBytes({ dtype: node.dtype, nOut, nIn }));
    }
  }
  return { nBytes, stagingBytes: roundUpToVector(stagingBytes) };
}

/** A matrix [out, in], or [nExperts, out, in]. */
function sizesOf({ dtype, shape }: HeldWeight['node']) {
  const [nOut, nIn] = shape.slice(-2) as [number, number];
  const nExperts = shape.length === 3 ? (shape[0] as number) : 1;
  return { nExperts, nOut, nIn, nBytes: roundUpToVector(packedBytes(dtype, nOut, nIn)) };
}

/** Each expert's matrix by itself, so that it begins with a panel of its own. */
function expertChunks(
  all: TensorInfo,
  nExperts: number,
  nBytes: number,
  matrix: PackTarget,
  kernels: Kernels,
): Chunk[] {
  return Array.from({ length: nExperts }, (_, expert) => {
    const fileBytes = all.nBytes / nExperts;
    const one = { ...all, shape: all.shape.slice(1), offset: all.offset + expert * fileBytes, nBytes: fileBytes };
    return matrixChunks([one], { ...matrix, address: matrix.address + expert * nBytes }, kernels);
  }).flat();
}

/** Weights of one axis are few: they are unpacked to f32 without kernels. */
function vectorChunk(
  info: TensorInfo,
  node: HeldWeight['node'],
  address: number,
  arena: Arena,
  unpack: Format['unpack'],
): Chunk {
  const n = node.shape[0] as number;
  return {
    pieces: [{ info, from: 0, nBytes: info.nBytes }],
    at: address,
    use: (staged) => unpack(arena.bytes(staged, info.nBytes), 0, arena.f32(address, n), 0, n),
  };
}

function roundUpToVector(nBytes: number): number {
  return Math.ceil(nBytes / VECTOR_BYTES) * VECTOR_BYTES;
}
