import { equalShapes } from '../../core/shape.ts';
import { isHalf } from '../halves.ts';
import type { Graph, Node, NodeOf, ValueId } from '../ir.ts';
import { rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      reshape to the same shape; reshape of a reshape; slice of all columns; slice of a slice; concat_weights of one
 *              weight; rope by a table that has no pairs
 * replacement  the input; one reshape; the input; one slice; the weight; the input
 * condition    none; a slice of a half of a residual_norm reads the half
 * numerics     exact: all of these move elements, none computes
 *
 * The only constants of this IR are weights, attributes and tables, and weights stay in their files' formats: what can be
 * folded is what attributes alone decide. A rope whose frequencies are all 0 is *not* folded: it computes x * 1 - y * 0, which
 * makes +0 of -0 and NaN of an infinite y.
 */
export const foldConstants: Pass = { name: 'fold_constants', numerics: 'exact', after: [], apply };

function apply(graph: Graph): Graph {
  return rewrite(graph, (node, _id, to) => {
    switch (node.op) {
      case 'reshape': {
        const root = throughReshapes(graph, node);
        if (equalShapes(graph.nodes[root]!.shape, node.to)) return to.keep(root);
        return root === node.inputs[0]
          ? undefined
          : to.emit({ op: 'reshape', to: node.to }, node.name, [to.keep(root)]);
      }
      case 'slice': {
        const { root, from } = throughSlices(graph, node);
        if (graph.nodes[root]!.shape.at(-1) === node.width) return to.keep(root);
        if (root === node.inputs[0]) return undefined;
        return to.emit({ op: 'slice', from, width: node.width }, node.name, [to.keep(root)]);
      }
      case 'concat_weights':
        return node.inputs.length === 1 ? to.keep(node.inputs[0]!) : undefined;
      case 'rope':
        return graph.ropes[node.table]!.frequencies.length === 0 ? to.keep(node.inputs[0]!) : undefined;
      default:
        return undefined;
    }
  });
}

/** The value whose elements a reshape shows, through any number of them. */
function throughReshapes(graph: Graph, node: NodeOf<'reshape'>): ValueId {
  let shown: Node = node;
  let root = node.inputs[0]!;
  while (shown.op === 'reshape') {
    root = shown.inputs[0]!;
    shown = graph.nodes[root]!;
  }
  return root;
}

/** The value whose columns a slice shows, and the first of them there. */
function throughSlices(graph: Graph, node: NodeOf<'slice'>): { root: ValueId; from: number } {
  let root = node.inputs[0]!;
  let { from } = node;
  for (let shown = graph.nodes[root]!; shown.op === 'slice' && !isHalf(graph, root); shown = graph.nodes[root]!) {
    from += shown.from;
    root = shown.inputs[0]!;
  }
  return { root, from };
}
