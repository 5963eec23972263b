import type { Graph, NodeOf, ValueId } from '../ir.ts';
import { readersOf } from '../rewrite.ts';
import { canJoin, joinLinears } from './join_linears.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      mul(silu(gate), up), or gelu or gelu_tanh, in either order, with gate = linear(x, wg), up = linear(x, wu)
 * replacement  both = linear(x, concat_weights(wg, wu)); gate, up = its halves
 * condition    the two read the same x with the same activations; the weights have one format and no other reader
 * numerics     exact: each output row is its own sum, and the sums do not change
 *
 * The two widest projections of a layer read the same row: merged, it is read (and quantized) once, and one call streams both
 * matrices. gate and up stay as names, so that whatever else reads them still does.
 */
export const mergeGateUp: Pass = { name: 'merge_gate_up', numerics: 'exact', after: ['share_common'], apply };

function apply(graph: Graph): Graph {
  const readers = readersOf(graph);
  const groups = new Map<ValueId, readonly ValueId[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'mul') continue;
    const pair = gateAndUp(graph, node);
    if (pair?.every((id) => !groups.has(id)) && canJoin(graph, readers, pair))
      for (const id of pair) groups.set(id, pair);
  }
  return joinLinears(graph, groups);
}

/** The two linears whose product is taken, the one under the activation first. */
function gateAndUp(graph: Graph, mul: NodeOf<'mul'>): readonly [ValueId, ValueId] | undefined {
  for (const [active, up] of [mul.inputs, [...mul.inputs].reverse()] as [ValueId, ValueId][]) {
    const node = graph.nodes[active]!;
    if (node.op === 'silu' || node.op === 'gelu' || node.op === 'gelu_tanh') return [node.inputs[0]!, up];
  }
  return undefined;
}
