import type { DType } from '../core/dtype.ts';
import { UnsupportedError } from '../core/errors.ts';
import type { Shape } from '../core/shape.ts';
import type { Graph, Node, ValueId } from './ir.ts';
import { readersOf, rewrite } from './rewrite.ts';

/** A weight of the adapter, as a node of the graph. */
export interface LoraWeight {
  readonly name: string;
  readonly dtype: DType;
  readonly shape: Shape;
}

/** What is added to each product with one weight. */
export interface LoraDelta {
  /** The model's weight [out, in]. */
  readonly weight: string;
  /** [rank, in] */
  readonly a: LoraWeight;
  /** [out, rank] */
  readonly b: LoraWeight;
  readonly scale: number;
  /** Of the adapter, among those of this model: part of the new nodes' names. */
  readonly label: string;
}

/**
 * pattern      y = linear(x, W), where deltas name W
 * replacement  y = linear(x, W) + s linear(linear(x, A), B), one sum after the other where several adapters change W
 *
 * The sum has the old name, so that a record shows what the model computes now; the plain product is "<name>.plain".
 * It is no pass: it changes what is computed, and comes before all of them.
 * Throws UnsupportedError for a weight that something else than a linear reads, ShapeError where A and B do not fit.
 */
export function withLora(graph: Graph, deltas: readonly LoraDelta[]): Graph {
  const byWeight = groupedByWeight(deltas);
  checkReadByLinears(graph, [...byWeight.keys()]);
  const nodes: Node[] = [...graph.nodes];
  const weight = ({ name, dtype, shape }: LoraWeight): ValueId =>
    nodes.push({ op: 'weight', name, dtype, shape, inputs: [] }) - 1;
  // Behind the others: the rewriter writes each where it is first read.
  const pairs = new Map(deltas.map((delta) => [delta, [weight(delta.a), weight(delta.b)] as const]));
  return rewrite({ ...graph, nodes }, (node, _id, to) => {
    if (node.op !== 'linear') return undefined;
    const [x, w] = node.inputs as readonly [ValueId, ValueId];
    const added = byWeight.get(nodes[w]!.name) ?? [];
    const { name, activations } = node;
    let sum =
      added.length === 0
        ? undefined
        : to.emit({ op: 'linear', activations }, `${name}.plain`, [to.keep(x), to.keep(w)]);
    for (const [i, delta] of added.entries()) {
      const [a, b] = pairs.get(delta)!;
      const own = `${name}.${delta.label}`;
      const down = to.emit({ op: 'linear', activations }, `${own}.down`, [to.keep(x), to.keep(a)]);
      const up = to.emit({ op: 'linear', activations }, `${own}.up`, [down, to.keep(b)]);
      const scaled = to.emit({ op: 'scale', by: delta.scale }, `${own}.scaled`, [up]);
      sum = to.emit({ op: 'add' }, i === added.length - 1 ? name : `${own}.sum`, [sum!, scaled]);
    }
    return sum;
  });
}

/** Throws UnsupportedError unless each of the weights is read as the matrix of products, and as nothing else. */
export function checkReadByLinears(graph: Graph, weights: readonly string[]): void {
  const readers = readersOf(graph);
  graph.nodes.forEach((node, id) => {
    if (node.op !== 'weight' || !weights.includes(node.name)) return;
    const other = readers[id]!.map((reader) => graph.nodes[reader]!).find(({ op }) => op !== 'linear');
    if (other === undefined) return;
    throw new UnsupportedError(
      `lora: ${node.name} is read by ${other.op} (${other.name}); adapters can change the matrices of linear alone`,
    );
  });
}

/** In their order. */
export function groupedByWeight<T extends { readonly weight: string }>(items: readonly T[]): Map<string, T[]> {
  const groups = new Map<string, T[]>();
  for (const item of items) groups.set(item.weight, [...(groups.get(item.weight) ?? []), item]);
  return groups;
}
