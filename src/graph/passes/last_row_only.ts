import type { OpName } from '../../ops/table.ts';
import { isHalf } from '../halves.ts';
import type { Graph, ValueId } from '../ir.ts';
import { readersOf, rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      take_rows(f(x, ...), rows), f one or several ops that work row by row: nothing mixes
 * replacement  f(take_rows(x, rows), ...)
 * condition    nothing else reads what lies between x and take_rows: everything that reads it is such an op itself, or takes
 *              the same rows
 * numerics     exact: row r of f(x) depends on row r of x only
 *
 * The logits of a prompt are asked for at its last position; without this pass the widest matrix of the model would be
 * multiplied by every row, and so would all of the last layer that comes after its attention. One run moves take_rows all the
 * way up, to the values where rows have met before: the heads' mix and the residual.
 */
export const lastRowOnly: Pass = { name: 'last_row_only', numerics: 'exact', after: [], apply };

/** Ops whose row r is made of rows r of their inputs that have rows [T, n]; a new op has to say. */
const WORKS_BY_ROW: Readonly<Record<OpName, boolean>> = {
  rms_norm: true,
  layer_norm: true,
  residual_norm: false, // rows of its halves are taken, if any
  add_bias: true,
  gelu: true,
  gelu_tanh: true,
  quick_gelu: true,
  relu: true,
  position_bias: false,
  tanh: true,
  soft_cap: true,
  scale: true,
  linear: true,
  slice: true,
  add: true,
  mul: true,
  silu: true,
  silu_fast: true,
  swiglu: true,
  swiglu_fast: true,
  geglu: true,
  geglu_tanh: true,
  concat: true,
  head_linear: true,
  sigmoid: true,
  softmax_rows: true,
  choose_experts: true,
  expert_weights: true,
  expert_linear: true,
  expert_sum: true,
  input: false,
  weight: false,
  concat_weights: false,
  patches: false,
  embed: false, // its input is ids, which take_rows does not take
  reshape: false, // may move elements from row to row
  rope: false, // rows of positions would have to be taken too
  kv_write_k: false,
  kv_write_v: false,
  rope_write_k: false,
  attend: false,
  attend_scores: false,
  softmax: false,
  attend_mix: false,
  take_rows: false,
};

function apply(graph: Graph): Graph {
  const taken = takenValues(graph);
  /** Old value -> the new one that has its taken rows. */
  const rowsOf = new Map<ValueId, ValueId>();
  return rewrite(graph, (node, id, to) => {
    if (node.op !== 'take_rows' || !taken.has(node.inputs[0]!)) return undefined;
    const rows = to.keep(node.inputs[1]!);
    const take = (old: ValueId, name: string): ValueId => {
      const known = rowsOf.get(old);
      if (known !== undefined) return known;
      const value = graph.nodes[old]!;
      let made: ValueId;
      // Rows of chosen experts are not taken but chosen anew: they are numbers, not a value like others.
      if (taken.has(old) || value.op === 'choose_experts') {
        const { name: _name, inputs, shape: _shape, ...op } = value;
        const isRowed = (input: ValueId): boolean => graph.nodes[input]!.shape[0] === 'T';
        const next = inputs.map((i) => (isRowed(i) ? take(i, `${graph.nodes[i]!.name}.taken`) : to.keep(i)));
        made = to.emit(op as Exclude<typeof op, { op: 'weight' }>, name, next);
      } else {
        made = to.emit({ op: 'take_rows' }, name, [to.keep(old), rows]);
      }
      rowsOf.set(old, made);
      return made;
    };
    // A second take_rows of the same value is the first one.
    return take(node.inputs[0]!, graph.nodes[id]!.name);
  });
}

/** The values of which only taken rows are wanted, and whose own rows can be taken instead. */
function takenValues(graph: Graph): ReadonlySet<ValueId> {
  const readers = readersOf(graph);
  const found = new Set<ValueId>();
  // From the end: readers come after what they read, so that they are known by then.
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id]!;
    if (!WORKS_BY_ROW[node.op] || isHalf(graph, id) || node.shape[0] !== 'T' || readers[id]!.length === 0) continue;
    const isOnlyTaken = readers[id]!.every((reader) => found.has(reader) || graph.nodes[reader]!.op === 'take_rows');
    const isOfMatrices = node.inputs.every(
      (i) => graph.nodes[i]!.shape[0] !== 'T' || graph.nodes[i]!.shape.length === 2,
    );
    if (isOnlyTaken && isOfMatrices) found.add(id);
  }
  return found;
}
