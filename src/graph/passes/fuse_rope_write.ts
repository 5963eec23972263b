import type { Graph } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      kv_write_k(rope(k, positions))
 * replacement  rope_write_k(k, positions), with the layout and the table of the one and the layer of the other
 * condition    nothing else reads the turned keys
 * numerics     exact: the same turns, and the same places in the cache
 *
 * Turned keys go straight into the cache, in its own order: they are not written as rows to be read once and moved.
 */
export const fuseRopeWrite: Pass = {
  name: 'fuse_rope_write',
  numerics: 'exact',
  after: ['hoist_rope_tables', 'fold_constants', 'merge_qkv'],
  apply,
};

function apply(graph: Graph): Graph {
  const readers = readersOf(graph);
  return rewrite(graph, (write, _id, to) => {
    if (write.op !== 'kv_write_k') return undefined;
    const turned = write.inputs[0]!;
    const rope = graph.nodes[turned]!;
    if (rope.op !== 'rope' || turned === graph.output || readers[turned]!.length !== 1) return undefined;
    const { layer } = write;
    const { layout, table } = rope;
    return to.emit({ op: 'rope_write_k', layer, layout, table }, write.name, rope.inputs.map(to.keep));
  });
}
