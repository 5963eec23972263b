import type { Graph, Node, NodeOf, ValueId } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      take_rows(f(x), rows), f one of linear, add_bias, rms_norm, layer_norm, silu, gelu (row by row, nothing mixes)
 * replacement  f(take_rows(x, rows))
 * condition    nothing else reads f(x)
 * numerics     exact: row r of f(x) depends on row r of x only
 *
 * The logits of a prompt are asked for at its last position; without this pass the widest matrix of the model would be
 * multiplied by every row. One run moves take_rows all the way up.
 */
export const lastRowOnly: Pass = { name: 'last_row_only', numerics: 'exact', after: [], apply };

type Rowwise = NodeOf<'linear' | 'add_bias' | 'rms_norm' | 'layer_norm' | 'silu' | 'gelu'>;

function isRowwise(node: Node): node is Rowwise {
  switch (node.op) {
    case 'linear':
    case 'add_bias':
    case 'rms_norm':
    case 'layer_norm':
    case 'silu':
    case 'gelu':
      return true;
    default:
      return false;
  }
}

function apply(graph: Graph): Graph {
  const readers = readersOf(graph);
  return rewrite(graph, (node, _id, to) => {
    if (node.op !== 'take_rows') return undefined;
    const rows = node.inputs[1]!;
    // chain: the movable nodes below this take_rows, the last one first
    const chain: ValueId[] = [];
    let x = node.inputs[0]!;
    for (;;) {
      const below = graph.nodes[x]!;
      if (!isRowwise(below) || readers[x]!.length !== 1) break;
      chain.push(x);
      x = below.inputs[0]!;
    }
    if (chain.length === 0) return undefined;
    let value = to.emit({ op: 'take_rows' }, `${node.name}.rows`, [to.keep(x), to.keep(rows)]);
    for (const old of chain.reverse()) {
      const moved = graph.nodes[old]!;
      const others = moved.inputs.slice(1).map(to.keep);
      const name = old === node.inputs[0] ? node.name : `${moved.name}.taken`;
      if (isRowwise(moved)) value = to.emit(moved, name, [value, ...others]);
    }
    return value;
  });
}
