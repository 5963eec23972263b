import type { Graph, ValueId } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      take_rows(f(x), rows), f one of linear, rms_norm, silu (row by row, nothing mixes)
 * replacement  f(take_rows(x, rows))
 * condition    nothing else reads f(x)
 * numerics     exact: row r of f(x) depends on row r of x only
 *
 * The logits of a prompt are asked for at its last position; without this pass the widest matrix of the model would be
 * multiplied by every row. One run moves take_rows all the way up.
 */
export const lastRowOnly: Pass = { name: 'last_row_only', numerics: 'exact', after: [], apply };

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
      const isRowwise = below.op === 'linear' || below.op === 'rms_norm' || below.op === 'silu';
      if (!isRowwise || readers[x]!.length !== 1) break;
      chain.push(x);
      x = below.inputs[0]!;
    }
    if (chain.length === 0) return undefined;
    let value = to.emit({ op: 'take_rows' }, `${node.name}.rows`, [to.keep(x), to.keep(rows)]);
    for (const old of chain.reverse()) {
      const moved = graph.nodes[old]!;
      const others = moved.inputs.slice(1).map(to.keep);
      const name = old === node.inputs[0] ? node.name : `${moved.name}.taken`;
      if (moved.op === 'linear')
        value = to.emit({ op: 'linear', activations: moved.activations }, name, [value, ...others]);
      else if (moved.op === 'rms_norm') value = to.emit({ op: 'rms_norm', eps: moved.eps }, name, [value, ...others]);
      else value = to.emit({ op: 'silu' }, name, [value]);
    }
    return value;
  });
}
