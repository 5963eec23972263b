import { assert } from '../core/errors.ts';
import { equalShapes, showShape } from '../core/shape.ts';
import { linearKernelOf } from '../ops/linear_kernel.ts';
import { checkWeightShape, INPUTS, type InputRole, resultShape, roleOf } from '../ops/table.ts';
import { codesOf, roundsTo } from './codes.ts';
import { type CacheWrite, type Graph, isCacheWrite, type Node, type NodeOf } from './ir.ts';

/**
 * Checks what every graph promises, before and after each pass:
 *  - inputs point backwards (so there is no cycle), and the output exists and is [R, vocab];
 *  - every stated shape is what the op's shape rule gives;
 *  - names are unique; kernels that are written down follow from formats; rope tables exist and fit; each (layer, k or v) of the cache is written at most once;
 *  - a norm whose codes are written is read by products that round it so;
 *  - a residual_norm is read by slices of its halves, one of each at most;
 *  - the three ops of one attention have one window, so that none reads what another has left out;
 *  - every input plays the role that its reader gives it (ops/table.ts): weights, feeds, cached rows and score matrices are
 *    read where they belong and nowhere else.
 * Throws ShapeError where shapes do not fit; a broken structure is a bug of a pass, and asserts.
 */
export function verify(graph: Graph): void {
  const names = new Set<string>();
  const written = new Set<string>();
  const halves = new Set<string>();
  graph.nodes.forEach((node, id) => {
    const what = `node %${id} (${node.op} "${node.name}")`;
    assert(!names.has(node.name), `${what}: name is used twice`);
    names.add(node.name);
    for (const input of node.inputs) {
      assert(Number.isInteger(input) && input >= 0 && input < id, `${what}: input %${input} is not an earlier node`);
    }
    if (node.op === 'weight') {
      checkWeightShape(node.name, node.dtype, node.shape);
      return;
    }
    const shape = resultShape(
      node,
      node.inputs.map((i) => graph.nodes[i]!.shape),
    );
    assert(
      equalShapes(shape, node.shape),
      `${what}: states ${showShape(node.shape)}, its rule gives ${showShape(shape)}`,
    );
    checkReaders(graph, node, what);
    checkHalves(graph, node, what, halves);
    checkCodes(graph, node, what);
    if (node.op === 'position_bias' || node.op === 'softmax' || node.op === 'attend_mix')
      checkWindows(graph, node, what);
    if (node.op === 'linear' || node.op === 'expert_linear' || node.op === 'head_linear') checkSums(node, what);
    if (node.op === 'linear') checkKernel(graph, node, what);
    if (node.op === 'expert_linear' || node.op === 'expert_weights') checkExperts(graph, node, what);
    if (node.op === 'rope' || node.op === 'rope_write_k') checkRope(graph, node, what);
    if (isCacheWrite(node)) checkWrite(graph, node, what, written);
  });
  const output = graph.nodes[graph.output];
  assert(output !== undefined, `the output %${graph.output} does not exist`);
  assert(output.op !== 'residual_norm', `the output %${graph.output} is a residual_norm, not a half of one`);
  assert(
    output.shape.length === 2 && output.shape[0] === 'R' && typeof output.shape[1] === 'number',
    `the output is ${showShape(output.shape)}, not [R, vocab]`,
  );
}

/** What each role is called in a message. */
const ROLE_NAMES: Readonly<Record<InputRole, string>> = {
  ids: 'the feed ids',
  positions: 'the feed positions',
  types: 'the feed types',
  outRows: 'the feed outRows',
  weight: 'a weight',
  keys: 'cached keys',
  values: 'cached values',
  scores: 'a score matrix',
  experts: 'chosen experts',
  tensor: 'a tensor',
};

/** Every input is what its op reads there. */
function checkReaders(graph: Graph, node: Node, what: string): void {
  node.inputs.forEach((input, index) => {
    const from = graph.nodes[input]!;
    const has = roleOf(from);
    const takes = node.op === 'concat_weights' ? 'weight' : INPUTS[node.op][index]!;
    const roles = typeof takes === 'string' ? [takes] : takes;
    const names = roles.map((role) => ROLE_NAMES[role]).join(' or ');
    assert(roles.includes(has), `${what}: input ${index} is ${ROLE_NAMES[has]}, ${node.op} takes ${names}`);
    if (node.op === 'concat_weights') {
      assert(from.op === 'weight', `${what}: joins ${from.name}, which is not a stored weight`);
      assert(from.dtype === node.dtype, `${what}: joins ${from.name} of another format`);
    }
  });
}

/** Codes that are written with a norm are those that its readers multiply. */
function checkCodes(graph: Graph, node: Node, what: string): void {
  for (const input of node.inputs) {
    const codes = codesOf(graph, input);
    if (codes === undefined) continue;
    const { name } = graph.nodes[input]!;
    const rounds = node.op === 'linear' ? roundsTo(graph, node) : undefined;
    assert(
      rounds === codes,
      `${what}: reads ${name}, whose codes of blocks of ${codes} only products that round so read`,
    );
  }
}

/** A residual_norm is read by halves: see halves.ts. */
function checkHalves({ nodes }: Graph, node: Node, what: string, known: Set<string>): void {
  for (const input of node.inputs) {
    const from = nodes[input]!;
    if (from.op !== 'residual_norm') continue;
    const dim = (from.shape[1] as number) / 2;
    const isOne = node.op === 'slice' && node.width === dim && (node.from === 0 || node.from === dim);
    assert(isOne, `${what}: reads ${from.name}, of which only a slice of one half can be read`);
    const half = `%${input} from ${node.from}`;
    assert(!known.has(half), `${what}: is a half of ${from.name} that is there already`);
    known.add(half);
  }
}

/** What an op reads of a score matrix is what the op before it has made of it. */
function checkWindows(graph: Graph, node: NodeOf<'position_bias' | 'softmax' | 'attend_mix'>, what: string): void {
  const from = graph.nodes[node.inputs[0]!]! as NodeOf<'attend_scores' | 'position_bias' | 'softmax'>;
  const [own, other] = [node.window ?? 'none', from.window ?? 'none'];
  assert(own === other, `${what}: its window is ${own}, that of ${from.name} is ${other}`);
  const [ownRows, otherRows] = [node.sees ?? 'its own', from.sees ?? 'its own'];
  assert(ownRows === otherRows, `${what}: sees ${ownRows} rows, ${from.name} sees ${otherRows}`);
}

/** Sums of integers are exact: f64 is for products of f32. */
function checkSums(node: NodeOf<'linear' | 'expert_linear' | 'head_linear'>, what: string): void {
  assert(
    node.sums === undefined || node.activations === 'f32',
    `${what}: sums ${node.sums} with activations ${node.activations}; sums in f64 take activations f32`,
  );
}

/** A kernel that is written down is the one that the format and the activations ask for. */
function checkKernel(graph: Graph, node: NodeOf<'linear'>, what: string): void {
  if (node.kernel === undefined) return;
  assert(node.sums === undefined, `${what}: says ${node.kernel}, sums in f64 have one kernel for all formats`);
  const w = graph.nodes[node.inputs[1]!] as NodeOf<'weight' | 'concat_weights'>;
  const kernel = linearKernelOf(w.dtype, node.activations);
  assert(
    node.kernel === kernel,
    `${what}: says ${node.kernel}, ${w.dtype} with activations ${node.activations} takes ${kernel}`,
  );
}

/** The experts were chosen among as many as there are. */
function checkExperts(graph: Graph, node: NodeOf<'expert_linear' | 'expert_weights'>, what: string): void {
  const choice = graph.nodes[node.inputs.at(-1)!]!;
  const nAmong = graph.nodes[choice.inputs[0]!]!.shape[1];
  const nHere =
    graph.nodes[node.inputs[node.op === 'expert_linear' ? 1 : 0]!]!.shape[node.op === 'expert_linear' ? 0 : 1];
  assert(nAmong === nHere, `${what}: has ${nHere} experts, ${choice.name} chooses among ${nAmong}`);
}

/** The rope's table is there, and turns no more elements than a head has. */
function checkRope(graph: Graph, node: NodeOf<'rope' | 'rope_write_k'>, what: string): void {
  const spec = graph.ropes[node.table];
  assert(spec !== undefined, `${what}: there is no rope table ${node.table}`);
  const headDim = node.shape[2] as number;
  const turned = 2 * spec.frequencies.length;
  assert(turned <= headDim, `${what}: table ${node.table} turns ${turned} elements of heads of ${headDim}`);
}

/** Cache writes name a layer, fit its rows, and are alone in writing it. */
function checkWrite(graph: Graph, node: CacheWrite, what: string, written: Set<string>): void {
  const { nLayers, nKvHeads, headDim } = graph.kv;
  const slot = `${roleOf(node)} ${node.layer}`;
  assert(!written.has(slot), `${what}: layer ${node.layer} is written twice`);
  written.add(slot);
  const isLayer = Number.isInteger(node.layer) && node.layer >= 0 && node.layer < nLayers;
  assert(isLayer, `${what}: layer ${node.layer} is outside 0..${nLayers - 1}`);
  assert(
    equalShapes(node.shape, ['S', nKvHeads, headDim]),
    `${what}: rows ${showShape(node.shape)} do not fit the cache's [S, ${nKvHeads}, ${headDim}]`,
  );
}
