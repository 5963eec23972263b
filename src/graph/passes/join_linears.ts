import type { Graph, NodeOf, ValueId } from '../ir.ts';
import { rewrite } from '../rewrite.ts';

/** What merge_qkv and merge_gate_up have in common: linears of one x that become one, and slices of it. */

/**
 * Whether these nodes are linears that one can stand for: different ones that read the same x with the same activations, by
 * stored weights of one format that nothing else reads.
 */
export function canJoin(graph: Graph, readers: readonly (readonly ValueId[])[], ids: readonly ValueId[]): boolean {
  const first = graph.nodes[ids[0]!]!;
  if (first.op !== 'linear' || new Set(ids).size !== ids.length) return false;
  const firstWeight = graph.nodes[first.inputs[1]!]!;
  return ids.every((id) => {
    const node = graph.nodes[id]!;
    if (node.op !== 'linear' || node.inputs[0] !== first.inputs[0] || node.activations !== first.activations)
      return false;
    if (node.sums !== first.sums) return false;
    const w = graph.nodes[node.inputs[1]!]!;
    if (w.op !== 'weight' || firstWeight.op !== 'weight' || w.dtype !== firstWeight.dtype) return false;
    return readers[node.inputs[1]!]!.length === 1;
  });
}

/** Every linear of a group -> the group, in the order of its columns. Each group becomes one linear, each member a slice of it. */
export function joinLinears(graph: Graph, groups: ReadonlyMap<ValueId, readonly ValueId[]>): Graph {
  const joined = new Map<readonly ValueId[], ValueId>();
  return rewrite(graph, (node, id, to) => {
    const group = groups.get(id);
    if (group === undefined || node.op !== 'linear') return undefined;
    const parts = group.map((part) => graph.nodes[part] as NodeOf<'linear'>);
    let all = joined.get(group);
    if (all === undefined) {
      const x = to.keep(node.inputs[0]!);
      const weights = parts.map((part) => part.inputs[1]!);
      const { dtype } = graph.nodes[weights[0]!] as NodeOf<'weight'>;
      const names = weights.map((w) => graph.nodes[w]!.name);
      const w = to.emit({ op: 'concat_weights', dtype }, names.join('+'), weights.map(to.keep));
      all = to.emit(
        { op: 'linear', activations: node.activations, ...(node.sums && { sums: node.sums }) },
        parts.map((p) => p.name).join('+'),
        [x, w],
      );
      joined.set(group, all);
    }
    const widths = parts.map((part) => part.shape[1] as number);
    const which = group.indexOf(id);
    const from = widths.slice(0, which).reduce((a, b) => a + b, 0);
    return to.emit({ op: 'slice', from, width: widths[which]! }, node.name, [all]);
  });
}
