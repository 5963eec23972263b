import type { Graph, Node, ValueId } from '../ir.ts';
import { rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      two nodes of one op with equal attributes and the same inputs
 * replacement  the first one, for all readers
 * condition    neither is a constant (share_constants) or a cache write, which a layer has once
 * numerics     exact: an op gives the same bits for the same inputs
 *
 * One walk is enough: inputs come before their readers, so that by the time a node is looked at its inputs are shared already,
 * and whole chains that are there twice melt together from the front.
 */
export const shareCommon: Pass = {
  name: 'share_common',
  numerics: 'exact',
  after: ['share_constants', 'hoist_rope_tables', 'fold_constants'],
  apply,
};

function apply(graph: Graph): Graph {
  const first = new Map<string, ValueId>();
  return rewrite(graph, (node, _id, to) => {
    if (!isComputed(node)) return undefined;
    const inputs = node.inputs.map(to.keep);
    const { name, inputs: _inputs, shape: _shape, ...op } = node;
    const key = JSON.stringify([op, inputs]);
    const known = first.get(key) ?? to.emit(op, name, inputs);
    first.set(key, known);
    return known;
  });
}

/** Ops whose value is no new one in each run, or not only for its readers. */
type Other = 'input' | 'patches' | 'weight' | 'concat_weights' | 'kv_write_k' | 'kv_write_v' | 'rope_write_k';
const OTHERS: ReadonlySet<Node['op']> = new Set<Other>([
  'input',
  'patches',
  'weight',
  'concat_weights',
  'kv_write_k',
  'kv_write_v',
  'rope_write_k',
]);

function isComputed(node: Node): node is Exclude<Node, { op: Other }> {
  return !OTHERS.has(node.op);
}
