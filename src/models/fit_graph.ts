import { ConfigError } from '../core/errors.ts';
import { equalShapes, showShape } from '../core/shape.ts';
import type { Graph, Node, NodeOf } from '../graph/ir.ts';

/**
 * Throws ConfigError naming the first thing in which a graph that was loaded from a file does not belong to a model.
 * stated: the graph that the model's architecture gives, with the activations that were asked for.
 */
export function checkGraphFits(graph: Graph, stated: Graph): void {
  const weights = new Map(stated.nodes.flatMap((node) => (node.op === 'weight' ? [[node.name, node] as const] : [])));
  const sums = stated.nodes.find(isProduct)?.sums;
  const [asked] = stated.nodes.flatMap((node) => (isProduct(node) ? [node.activations] : []));
  for (const node of graph.nodes) {
    if (isProduct(node) && node.activations !== asked) {
      throw new ConfigError(
        `graph: ${node.name} takes activations as ${node.activations}, ${asked} was asked for; load it with --activations ${node.activations}`,
      );
    }
    if ((isProduct(node) || node.op === 'attend_scores') && node.sums !== sums) {
      const [own, other] = [node.sums ?? 'f32', sums ?? 'f32'];
      throw new ConfigError(`graph: ${node.name} sums in ${own}, ${other} was asked for; load it with --sums ${own}`);
    }
    if (node.op !== 'weight') continue;
    const w = weights.get(node.name);
    if (w === undefined)
      throw new ConfigError(`graph: reads ${node.name}, which the model has not; it is of another model`);
    if (w.dtype !== node.dtype || !equalShapes(w.shape, node.shape)) {
      throw new ConfigError(
        `graph: ${node.name} is ${node.dtype} ${showShape(node.shape)} there and ${w.dtype} ${showShape(w.shape)} in the model; it is of another model`,
      );
    }
  }
  for (const key of ['nLayers', 'nKvHeads', 'headDim'] as const) {
    if (graph.kv[key] !== stated.kv[key]) {
      throw new ConfigError(
        `graph: ${key} is ${graph.kv[key]}, the model's is ${stated.kv[key]}; it is of another model`,
      );
    }
  }
  const [vocab, modelVocab] = [graph, stated].map((g) => g.nodes[g.output]!.shape[1]);
  if (vocab !== modelVocab) {
    throw new ConfigError(`graph: gives ${vocab} logits, the model has ${modelVocab}; it is of another model`);
  }
  const known = new Set(stated.ropes.map((spec) => JSON.stringify(spec.frequencies)));
  const other = graph.ropes.findIndex((spec) => !known.has(JSON.stringify(spec.frequencies)));
  if (other >= 0)
    throw new ConfigError(`graph: rope table ${other} turns by other angles than the model; it is of another model`);
}

/** Ops that say how activations enter. */
function isProduct(node: Node): node is NodeOf<'linear' | 'expert_linear' | 'head_linear'> {
  return node.op === 'linear' || node.op === 'expert_linear' || node.op === 'head_linear';
}
