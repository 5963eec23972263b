import type { Graph, Node, ValueId } from '../ir.ts';
import { readersOf } from '../rewrite.ts';
import { canJoin, joinLinears } from './join_linears.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      q = linear(x, wq), k = linear(x, wk), v = linear(x, wv) of one layer's attention, whatever is done to each
 *              before they meet: biases, norms, rope
 * replacement  qkv = linear(x, concat_weights(wq, wk, wv)); q, k, v = slices of qkv
 * condition    the three read the same x with the same activations; the weights have one format and no other reader
 * numerics     exact: each output row is its own sum, and the sums do not change
 *
 * One matrix instead of three: x is read (and quantized) once, and one call streams all weights.
 */
export const mergeQkv: Pass = { name: 'merge_qkv', numerics: 'exact', after: ['share_common'], apply };

function apply(graph: Graph): Graph {
  const readers = readersOf(graph);
  const groups = new Map<ValueId, readonly ValueId[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'attend_mix') continue;
    const scores = throughTo(graph, node.inputs[0]!, 'attend_scores');
    if (scores === undefined) continue;
    const q = throughTo(graph, graph.nodes[scores]!.inputs[0]!, 'linear');
    const k = throughTo(graph, graph.nodes[scores]!.inputs[1]!, 'linear');
    const v = throughTo(graph, node.inputs[1]!, 'linear');
    if (q === undefined || k === undefined || v === undefined) continue;
    const triple = [q, k, v];
    if (triple.every((id) => !groups.has(id)) && canJoin(graph, readers, triple)) {
      for (const id of triple) groups.set(id, triple);
    }
  }
  return joinLinears(graph, groups);
}

/** Walks back over ops that keep the row (biases, norms of heads, rope, softmax, cache writes) to the first node of kind `op`. */
function throughTo(graph: Graph, from: ValueId, op: 'linear' | 'attend_scores'): ValueId | undefined {
  let id = from;
  for (;;) {
    const node: Node = graph.nodes[id]!;
    if (node.op === op) return id;
    const isCarrier =
      node.op === 'reshape' ||
      node.op === 'add_bias' ||
      node.op === 'rms_norm' ||
      node.op === 'rope' ||
      node.op === 'softmax' ||
      node.op === 'kv_write_k' ||
      node.op === 'kv_write_v';
    if (!isCarrier) return undefined;
    id = node.inputs[0]!;
  }
}
