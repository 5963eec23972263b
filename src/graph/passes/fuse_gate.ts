import type { Graph, ValueId } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';

/** What fuse_swiglu and fuse_geglu have in common: an activation and the product that alone reads it become one op. */
export function fuseGate(
  graph: Graph,
  activation: 'silu' | 'silu_fast' | 'gelu' | 'gelu_tanh',
  fused: 'swiglu' | 'swiglu_fast' | 'geglu' | 'geglu_tanh',
): Graph {
  const readers = readersOf(graph);
  const found = new Map<ValueId, readonly [gate: ValueId, up: ValueId]>();
  graph.nodes.forEach((node, id) => {
    if (node.op !== 'mul') return;
    const [a, b] = node.inputs as [ValueId, ValueId];
    for (const [active, up] of [
      [a, b],
      [b, a],
    ] as const) {
      const isAlone = graph.nodes[active]!.op === activation && readers[active]!.length === 1;
      if (isAlone && !found.has(id)) found.set(id, [graph.nodes[active]!.inputs[0]!, up]);
    }
  });
  return rewrite(graph, (node, id, to) => {
    const pair = found.get(id);
    return pair && to.emit({ op: fused }, node.name, pair.map(to.keep));
  });
}
