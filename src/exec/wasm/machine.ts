import { type Halves, halvesIn, isHalf } from '../../graph/halves.ts';
import type { Graph, ValueId } from '../../graph/ir.ts';
import { cacheStepsOf, stepsOf } from '../plan.ts';
import { type Place, placesOf, rowWidth } from '../views.ts';
import type { Kernels } from './kernels.ts';
import type { PackedWeights } from './packed_weights.ts';
import type { RopeTables } from './rope_tables.ts';

/** What does not change from run to run. */
export interface Machine {
  readonly graph: Graph;
  readonly kernels: Kernels;
  readonly weights: PackedWeights;
  readonly ropes: RopeTables;
  /** Elements of one row of each value: the product of the fixed axes behind the first. */
  readonly widths: readonly number[];
  /** Where each value lies, and how far its rows are apart. */
  readonly places: readonly Place[];
  /** What runNode asks of every node, by value: node objects have as many forms as there are ops, so reading them is slow. */
  readonly firstInputs: readonly FirstInput[];
  /** Of each residual_norm. */
  readonly halves: ReadonlyMap<ValueId, Halves>;
  /** See stepsOf and cacheStepsOf. Views and halves have no step: they move nothing. */
  readonly steps: readonly ValueId[];
  readonly cacheSteps: readonly ValueId[];
}

/** The first input of a node; feeds and weights, which have none, stand for themselves. */
export interface FirstInput {
  readonly id: ValueId;
  /** Floats from one of its rows to the next; 0 where there is no input. */
  readonly rowStride: number;
  /** Whether the node's own rows are those of which logits are wanted, and not all tokens. */
  readonly isOfOutRows: boolean;
}

/** What is the same for every run is looked up once: a token of a small model has 500 nodes and 4 ms. */
export function createMachine(parts: Pick<Machine, 'graph' | 'kernels' | 'weights' | 'ropes'>): Machine {
  const { graph } = parts;
  const places = placesOf(graph);
  const moves = (id: ValueId): boolean => places[id]!.root === id && !isHalf(graph, id);
  return {
    ...parts,
    places,
    halves: halvesIn(graph),
    firstInputs: graph.nodes.map(({ inputs: [first], shape }, id) => ({
      id: first ?? id,
      rowStride: first === undefined ? 0 : places[first]!.rowStride,
      isOfOutRows: shape[0] === 'R',
    })),
    steps: stepsOf(graph).filter(moves),
    cacheSteps: cacheStepsOf(graph).filter(moves),
    widths: graph.nodes.map(({ shape }) => rowWidth(shape)),
  };
}
