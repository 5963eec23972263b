import { assert } from '../core/errors.ts';
import { checkWeightShape, type Op, resultShape } from '../ops/table.ts';
import type { Graph, Node, ValueId } from './ir.ts';

/** What a pass sees while it writes the new graph. */
export interface Rewriter {
  /** The new id of an old value; copies it (and, first, what it reads) when it has not been written yet. */
  keep(old: ValueId): ValueId;
  /** Appends a new node; its shape comes from its rule. */
  emit(op: Exclude<Op, { op: 'weight' }>, name: string, inputs: readonly ValueId[]): ValueId;
}

/**
 * Writes a graph anew, in order. `replace` is asked about every old node before it is copied: it returns the new id that
 * stands for the old value, or undefined to copy the node as it is. Nodes that nothing reads any more stay (drop_dead
 * removes them).
 */
export function rewrite(graph: Graph, replace: (node: Node, id: ValueId, to: Rewriter) => ValueId | undefined): Graph {
  const nodes: Node[] = [];
  const newIds = new Map<ValueId, ValueId>();
  const to: Rewriter = {
    keep(old) {
      const known = newIds.get(old);
      if (known !== undefined) return known;
      const node = graph.nodes[old];
      assert(node !== undefined, `rewrite: there is no node %${old}`);
      const id = replace(node, old, to) ?? copy(node);
      newIds.set(old, id);
      return id;
    },
    emit(op, name, inputs) {
      const shape = resultShape(
        op,
        inputs.map((i) => nodes[i]!.shape),
      );
      return nodes.push({ ...op, name, inputs, shape } as Node) - 1;
    },
  };
  const copy = (node: Node): ValueId => {
    const inputs = node.inputs.map((i) => to.keep(i));
    if (node.op === 'weight') checkWeightShape(node.name, node.dtype, node.shape);
    return nodes.push({ ...node, inputs } as Node) - 1;
  };
  for (let old = 0; old < graph.nodes.length; old++) to.keep(old);
  return { ...graph, nodes, output: to.keep(graph.output) };
}

/** For each value, the nodes that read it. */
export function readersOf(graph: Graph): ValueId[][] {
  const readers: ValueId[][] = graph.nodes.map(() => []);
  graph.nodes.forEach((node, id) => {
    for (const input of node.inputs) readers[input]!.push(id);
  });
  return readers;
}
