import type { Graph, Node, NodeOf, ValueId } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      q = linear(x, wq), k = linear(x, wk), v = linear(x, wv) of one layer's attention
 * replacement  qkv = linear(x, concat_weights(wq, wk, wv)); q, k, v = slices of qkv
 * condition    the three read the same x with the same activations; the weights have one format and no other reader
 * numerics     exact: each output row is its own sum, and the sums do not change
 *
 * One matrix instead of three: x is read (and quantized) once, and one call streams all weights.
 */
export const mergeQkv: Pass = { name: 'merge_qkv', numerics: 'exact', after: [], apply };

function apply(graph: Graph): Graph {
  const triples = findTriples(graph);
  const merged = new Map<ValueId, ValueId>();
  return rewrite(graph, (node, id, to) => {
    const triple = triples.get(id);
    if (triple === undefined || node.op !== 'linear') return undefined;
    const parts = triple.map((part) => graph.nodes[part] as NodeOf<'linear'>);
    const weights = parts.map((part) => part.inputs[1]!);
    let qkv = merged.get(triple[0]!);
    if (qkv === undefined) {
      const x = to.keep(node.inputs[0]!);
      const { dtype } = graph.nodes[weights[0]!] as NodeOf<'weight'>;
      const names = weights.map((w) => graph.nodes[w]!.name);
      const joined = to.emit({ op: 'concat_weights', dtype }, names.join('+'), weights.map(to.keep));
      qkv = to.emit({ op: 'linear', activations: node.activations }, parts.map((p) => p.name).join('+'), [x, joined]);
      merged.set(triple[0]!, qkv);
    }
    const widths = parts.map((part) => part.shape[1] as number);
    const which = triple.indexOf(id);
    const from = widths.slice(0, which).reduce((a, b) => a + b, 0);
    return to.emit({ op: 'slice', from, width: widths[which]! }, node.name, [qkv]);
  });
}

/** Every linear that is part of a mergeable triple -> the triple [q, k, v]. */
function findTriples(graph: Graph): Map<ValueId, ValueId[]> {
  const readers = readersOf(graph);
  const found = new Map<ValueId, ValueId[]>();
  for (const node of graph.nodes) {
    if (node.op !== 'attend_mix') continue;
    const scores = throughTo(graph, node.inputs[0]!, 'attend_scores');
    if (scores === undefined) continue;
    const q = throughTo(graph, scores.inputs[0]!, 'linear');
    const k = throughTo(graph, scores.inputs[1]!, 'linear');
    const v = throughTo(graph, node.inputs[1]!, 'linear');
    if (q === undefined || k === undefined || v === undefined) continue;
    const parts = [q, k, v];
    const ids = parts.map((part) => graph.nodes.indexOf(part));
    const weights = parts.map((part) => graph.nodes[part.inputs[1]!]!);
    const first = weights[0]!;
    const fits =
      new Set(ids).size === 3 &&
      ids.every((id) => !found.has(id)) &&
      parts.every((p) => p.inputs[0] === q.inputs[0] && p.activations === q.activations) &&
      weights.every((w) => w.op === 'weight' && first.op === 'weight' && w.dtype === first.dtype) &&
      parts.every((p) => readers[p.inputs[1]!]!.length === 1);
    if (fits) for (const id of ids) found.set(id, ids);
  }
  return found;
}

/** Walks back over ops that keep the row (reshape, rope, softmax, cache writes) to the first node of kind `op`. */
function throughTo<K extends 'linear' | 'attend_scores'>(graph: Graph, from: ValueId, op: K): NodeOf<K> | undefined {
  let node: Node = graph.nodes[from]!;
  while (node.op !== op) {
    const isCarrier =
      node.op === 'reshape' ||
      node.op === 'rope' ||
      node.op === 'softmax' ||
      node.op === 'kv_write_k' ||
      node.op === 'kv_write_v';
    if (!isCarrier) return undefined;
    node = graph.nodes[node.inputs[0]!]!;
  }
  return node as NodeOf<K>;
}
