import type { Graph, Node } from '../../src/graph/ir.ts';
import type { Scored, Windowed } from '../../src/ops/table.ts';

export type Limits = Windowed & Pick<Scored, 'cap'>;

/** A graph that was built without limits, before any pass, with those of each layer in its attention. */
export function withLimits(graph: Graph, limitsOf: (layer: number) => Limits): Graph {
  const nodes = graph.nodes.map((node): Node => {
    const { window, cap } = limitsOf(Number(/^blk\.(\d+)\./.exec(node.name)?.[1]));
    const windowed = window === undefined ? {} : { window };
    if (node.op === 'attend_scores') return { ...node, ...windowed, ...(cap === undefined ? {} : { cap }) };
    return node.op === 'softmax' || node.op === 'attend_mix' ? { ...node, ...windowed } : node;
  });
  return { ...graph, nodes };
}
