import type { Graph, NodeOf, ValueId } from './ir.ts';

/**
 * A residual_norm is two values: slices take the sum, and the norm behind it. An executor need not lay their rows side by side: each half
 * is a value of its own, made when the residual_norm is, and lives as long as it is read. verify holds a graph to that: nothing else
 * reads a residual_norm, and a half is there once.
 */
export interface Halves {
  /** Left out: the slice of a half that nothing reads. */
  readonly sum?: ValueId;
  readonly norm?: ValueId;
}

/** Whether a value is a half of a residual_norm. */
export function isHalf({ nodes }: Graph, id: ValueId): boolean {
  const node = nodes[id]!;
  return node.op === 'slice' && nodes[node.inputs[0]!]!.op === 'residual_norm';
}

/** The halves of every residual_norm. */
export function halvesIn(graph: Graph): ReadonlyMap<ValueId, Halves> {
  const found = new Map<ValueId, Halves>();
  graph.nodes.forEach((node, id) => {
    if (node.op === 'residual_norm') found.set(id, {});
    if (!isHalf(graph, id)) return;
    const { inputs, from } = node as NodeOf<'slice'>;
    found.set(inputs[0]!, { ...found.get(inputs[0]!), [from === 0 ? 'sum' : 'norm']: id });
  });
  return found;
}
