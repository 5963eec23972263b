import type { Sums } from '../ops/linear.ts';
import type { Graph } from './ir.ts';

/**
 * The graph with its sums of products in float64, each rounded to f32 once: of all linears and of attention's scores. The rest stays as
 * it is (docs/decisions/0063-sums-in-float64.md says what each op gains). It is no pass: it changes what is computed, and
 * comes before all of them.
 */
export function withWideSums(graph: Graph): Graph {
  const nodes = graph.nodes.map((node) => {
    switch (node.op) {
      case 'linear':
      case 'head_linear':
      case 'expert_linear':
      case 'attend_scores':
        return { ...node, sums: 'f64' as const };
      default:
        return node;
    }
  });
  return { ...graph, nodes };
}

/** The graph with its sums in what was asked for. */
export function withSums(graph: Graph, sums: Sums): Graph {
  return sums === 'f64' ? withWideSums(graph) : graph;
}
