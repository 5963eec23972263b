import type { Graph, Node, NodeOf } from '../../src/graph/ir.ts';
import type { Pass } from '../../src/graph/passes/pass.ts';

/** A wrong form of a pass: what it gives, with the nodes of one kind changed by hand. */
export function changing<K extends Node['op']>(
  pass: Pass,
  op: K,
  change: (node: NodeOf<K>, graph: Graph) => object,
): (graph: Graph) => Graph {
  return (graph) => {
    const after = pass.apply(graph);
    const nodes = after.nodes.map((n) => (n.op === op ? ({ ...n, ...change(n as NodeOf<K>, after) } as Node) : n));
    return { ...after, nodes };
  };
}

/** How many nodes of a kind a graph has. */
export function countOp(graph: Graph, op: Node['op']): number {
  return graph.nodes.filter((n) => n.op === op).length;
}
