import type { Graph, NodeOf, ValueId } from '../ir.ts';
import { rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      s = add(a, b), n = rms_norm(s, g), both [T, dim]
 * replacement  both = residual_norm(a, b, g); s, n = the halves of both
 * condition    of several norms of one sum, the first one
 * numerics     exact: the same roundings, the squares added up in the same order
 *
 * One sweep adds, stores the sum and adds up its squares; a second one scales. The sum is not read once more from memory
 * between them. Halves have places of their own (halves.ts): the norm dies when its matrices have read it, the sum goes on.
 */
export const fuseResidualNorm: Pass = {
  name: 'fuse_residual_norm',
  numerics: 'exact',
  after: ['share_common', 'merge_qkv', 'last_row_only'],
  apply,
};

function apply(graph: Graph): Graph {
  const normOf = firstNorms(graph);
  const halves = new Map<ValueId, ValueId>(); // by what each was: the old norm -> the new residual_norm
  return rewrite(graph, (node, id, to) => {
    const norm = normOf.get(id);
    if (node.op === 'add' && norm !== undefined) {
      const { name, eps, inputs } = graph.nodes[norm] as NodeOf<'rms_norm'>;
      const parts = [...node.inputs, inputs[1]!].map(to.keep);
      const both = to.emit({ op: 'residual_norm', eps }, `${node.name}+${name}`, parts);
      halves.set(norm, both);
      return to.emit({ op: 'slice', from: 0, width: node.shape[1] as number }, node.name, [both]);
    }
    if (node.op !== 'rms_norm' || normOf.get(node.inputs[0]!) !== id) return undefined;
    to.keep(node.inputs[0]!);
    const dim = node.shape[1] as number;
    return to.emit({ op: 'slice', from: dim, width: dim }, node.name, [halves.get(id)!]);
  });
}

/** Every sum that a norm of whole rows reads -> the first such norm. */
function firstNorms({ nodes }: Graph): ReadonlyMap<ValueId, ValueId> {
  const found = new Map<ValueId, ValueId>();
  nodes.forEach((node, id) => {
    if (node.op !== 'rms_norm' || node.shape.length !== 2) return;
    const sum = node.inputs[0]!;
    if (nodes[sum]!.op === 'add' && !found.has(sum)) found.set(sum, id);
  });
  return found;
}
