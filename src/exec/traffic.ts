import { rowBytes } from '../core/dtype.ts';
import { codesOf } from '../graph/codes.ts';
import { isHalf } from '../graph/halves.ts';
import { type Graph, isCacheWrite, type Node, type NodeOf, type ValueId } from '../graph/ir.ts';
import { placesOf } from './views.ts';

/** The open sizes for which traffic is stated: one token that is decoded, its row of logits, and this many positions. */
export const TRAFFIC_SIZES = { T: 1, R: 1, S: 512 } as const;

const F32_BYTES = 4;

/**
 * Bytes that the nodes of a graph read and write for one decoded token after 511 others: every input and every output of every
 * node, products of rounded rows the codes where a norm has written them, weights as their file has them (of experts, those that are chosen), everything else in f32. Views move nothing. What a kernel reads again, or what a cache
 * of the processor saves, is not in it: it is a count for comparing graphs.
 */
export function bytesMoved(graph: Graph): number {
  const places = placesOf(graph);
  const isMoved = (id: ValueId): boolean => places[id]!.root === id && !isHalf(graph, id);
  return graph.nodes.reduce((n, node, id) => n + (isMoved(id) ? bytesOfNode(graph, node) : 0), 0);
}

function bytesOfNode(graph: Graph, node: Node): number {
  if (node.op === 'input' || node.op === 'patches' || node.op === 'weight' || node.op === 'concat_weights') return 0;
  const read = node.inputs.reduce((n, input, index) => {
    if (node.op === 'expert_linear' && index === 1) return n + chosenBytes(graph, node);
    const codes = codesOf(graph, input);
    if (codes !== undefined) return n + codeBytes(graph.nodes[input]!.shape, codes);
    const isRowOnly = (node.op === 'embed' && index === 1) || (node.op === 'take_rows' && index === 0);
    return n + (isRowOnly ? rowOf(graph, input) : bytesOfValue(graph, input));
  }, 0);
  // A write adds its rows to the cache, whose other rows stay where they are.
  return read + (isCacheWrite(node) ? bytesOfValue(graph, node.inputs[0]!) : f32Bytes(node.shape)) + writtenCodes(node);
}

/** Codes that a norm writes beside its rows. */
function writtenCodes(node: Node): number {
  if (!('codes' in node) || node.codes === undefined) return 0;
  return codeBytes(node.shape, node.codes) / (node.op === 'residual_norm' ? 2 : 1); // of one half
}

/** A byte for each element, and a scale for each block. */
function codeBytes(shape: Node['shape'], blockSize: number): number {
  const nElements = f32Bytes(shape) / F32_BYTES;
  return nElements + (nElements / blockSize) * F32_BYTES;
}

function bytesOfValue(graph: Graph, id: ValueId): number {
  const node = graph.nodes[id]!;
  if (node.op !== 'weight' && node.op !== 'concat_weights') return f32Bytes(node.shape);
  const sizes = node.shape as readonly number[];
  return sizes.slice(0, -1).reduce((n, size) => n * size, 1) * rowBytes(node.dtype, sizes.at(-1)!);
}

/** The matrices of the experts that one token chooses. */
export function chosenBytes(graph: Graph, node: NodeOf<'expert_linear'>): number {
  const [, stack, experts] = node.inputs as [ValueId, ValueId, ValueId];
  const [nExperts, nChosen] = [graph.nodes[stack]!.shape[0], graph.nodes[experts]!.shape[1]] as [number, number];
  return (bytesOfValue(graph, stack) / nExperts) * nChosen;
}

/** One row: of a table that embed reads, or of a value whose rows are taken. */
function rowOf(graph: Graph, id: ValueId): number {
  return bytesOfValue(graph, id) / sizeOf(graph.nodes[id]!.shape[0]!);
}

function f32Bytes(shape: Node['shape']): number {
  return shape.reduce<number>((n, size) => n * sizeOf(size), F32_BYTES);
}

function sizeOf(size: Node['shape'][number]): number {
  return typeof size === 'number' ? size : TRAFFIC_SIZES[size];
}
