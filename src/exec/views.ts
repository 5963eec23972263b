import { isHalf } from '../graph/halves.ts';
import type { Graph, NodeOf, ValueId } from '../graph/ir.ts';
import { readersOf } from '../graph/rewrite.ts';

/**
 * Where a value lies: in its own buffer (root is the value itself), or as a view, within another value's. Element i of row t is
 * element `from + t * rowStride + i` of the root's buffer.
 */
export interface Place {
  readonly root: ValueId;
  readonly from: number;
  readonly rowStride: number;
}

/**
 * The place of every value. Two ops move nothing when they need not:
 *   reshape  other axes for the same elements
 *   slice    some columns of longer rows [T, n], where all that read it can step from row to row
 * A half of a residual_norm (halves.ts) is no view: it has a place of its own, and its maker none.
 * Elsewhere (a reader that wants dense rows; the graph's output) a slice is a copy of its own.
 */
export function placesOf(graph: Graph): readonly Place[] {
  const readers = readersOf(graph);
  const places: Place[] = [];
  graph.nodes.forEach((node, id) => {
    const isView =
      node.op === 'reshape' ||
      (node.op === 'slice' && node.shape.length === 2 && !isHalf(graph, id) && readByStride(graph, readers, id));
    if (!isView) {
      places[id] = { root: id, from: 0, rowStride: rowWidth(node.shape) };
      return;
    }
    const of = places[node.inputs[0]!]!;
    const isDense = of.rowStride === rowWidth(graph.nodes[node.inputs[0]!]!.shape);
    if (node.op === 'slice') places[id] = { ...of, from: of.from + node.from };
    else places[id] = isDense ? { ...of, rowStride: rowWidth(node.shape) } : of;
  });
  return places;
}

/** Elements of one row: the product of the fixed axes behind the first. */
export function rowWidth(shape: Graph['nodes'][number]['shape']): number {
  return shape.slice(1).reduce<number>((n, size) => (typeof size === 'number' ? n * size : n), 1);
}

/** Whether every reader of a value takes rows that are further apart than they are long. */
function readByStride(graph: Graph, readers: readonly (readonly ValueId[])[], id: ValueId): boolean {
  if (id === graph.output) return false;
  return readers[id]!.every((reader) => {
    const node = graph.nodes[reader]!;
    const isFirstAlone = node.inputs.every((input, index) => input !== id || index === 0);
    switch (node.op) {
      case 'rope':
      case 'kv_write_k':
      case 'kv_write_v':
      case 'rope_write_k':
      case 'linear':
      case 'attend':
        return isFirstAlone;
      case 'silu':
      case 'silu_fast':
      case 'mul':
      case 'swiglu':
      case 'swiglu_fast':
      case 'geglu':
      case 'geglu_tanh':
        return true;
      case 'slice':
      case 'reshape':
        if (node.op === 'slice' && node.shape.length > 2) return false; // a copy, of dense rows of heads
        return keepsRows(graph, node) && readByStride(graph, readers, reader);
      default:
        return false;
    }
  });
}

function keepsRows(graph: Graph, node: NodeOf<'slice'> | NodeOf<'reshape'>): boolean {
  return node.shape[0] === graph.nodes[node.inputs[0]!]!.shape[0];
}
