import { linearKernelOf } from '../../ops/linear_kernel.ts';
import type { Graph, NodeOf } from '../ir.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      linear(x, w)
 * replacement  the same, with the kernel that multiplies it written on it
 * condition    its sums are in f32: others have one kernel for all formats; the kernel follows from the format of w and from how activations enter, and decides neither
 * numerics     exact: naive does not look at it, and the kernel has naive's bits
 *
 * What runs is then seen in the graph, and in its file, and verify refuses a graph that says something else. A product without
 * the mark runs by the same rule.
 */
export const pickQuantized: Pass = {
  name: 'pick_quantized',
  numerics: 'exact',
  after: ['fold_constants', 'share_common', 'merge_qkv', 'merge_gate_up', 'last_row_only'],
  apply,
};

function apply(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    if (node.op !== 'linear' || node.sums !== undefined) return node;
    const w = graph.nodes[node.inputs[1]!] as NodeOf<'weight' | 'concat_weights'>;
    return { ...node, kernel: linearKernelOf(w.dtype, node.activations) };
  });
  return { ...graph, nodes };
}
