import { type Graph, isCacheWrite, type Node, type ValueId } from '../ir.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      a node whose value reaches neither the output nor a cache write
 * replacement  nothing
 * condition    the feeds stay, so that every plan takes the same feeds
 * numerics     exact: the nodes that stay are not touched
 *
 * A cache write is kept even when nothing in this graph reads it: later runs do.
 */
export const dropDead: Pass = {
  name: 'drop_dead',
  numerics: 'exact',
  after: [
    'fuse_attend',
    'fuse_rope_write',
    'fuse_swiglu',
    'fuse_geglu',
    'fuse_residual_norm',
    'share_constants',
    'fold_constants',
    'share_common',
    'merge_qkv',
    'merge_gate_up',
    'last_row_only',
  ],
  apply,
};

function apply(graph: Graph): Graph {
  const isLive = graph.nodes.map((n) => n.op === 'input' || isCacheWrite(n));
  isLive[graph.output] = true;
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    if (isLive[id]) for (const input of graph.nodes[id]!.inputs) isLive[input] = true;
  }
  const nodes: Node[] = [];
  const newIds: ValueId[] = [];
  graph.nodes.forEach((node, id) => {
    if (isLive[id]) newIds[id] = nodes.push({ ...node, inputs: node.inputs.map((i) => newIds[i]!) } as Node) - 1;
  });
  return { ...graph, nodes, output: newIds[graph.output]! };
}
