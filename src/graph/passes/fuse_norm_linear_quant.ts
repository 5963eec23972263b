import { normOf, roundsTo } from '../codes.ts';
import type { Graph, Node, NodeOf, ValueId } from '../ir.ts';
import { readersOf } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      n = rms_norm(x, g), layer_norm(x, g, b), or the norm of a residual_norm, read by linear(n, w), ...
 * replacement  the same norm, marked with the block size in which its codes are written with it
 * condition    all that reads n are linears that round their input to int8 blocks of one size; between n and the last of them
 *              no other product rounds rows, and no other such norm is made: one row of codes is kept
 * numerics     exact: naive does not look at the mark, and the codes are those to which each product would round n
 *
 * A row is rounded while it is in a near cache, by the call that makes it, once for all its readers.
 */
export const fuseNormLinearQuant: Pass = {
  name: 'fuse_norm_linear_quant',
  numerics: 'exact',
  after: [
    'fold_constants',
    'share_common',
    'merge_qkv',
    'merge_gate_up',
    'last_row_only',
    'fuse_residual_norm',
    'drop_dead',
  ],
  apply,
};

type Norm = NodeOf<'rms_norm' | 'layer_norm' | 'residual_norm'>;

/** A norm whose readers all round it in one way: which they are, and how. */
interface Candidate {
  readonly blockSize: number;
  readonly readers: readonly ValueId[];
}

function apply(graph: Graph): Graph {
  const candidates = candidatesIn(graph);
  const nodes = graph.nodes.map((node, id) => {
    const found = candidates.get(id);
    if (found === undefined || !isHeld(graph, candidates, id, found)) return node;
    return { ...(node as Norm), codes: found.blockSize } as Node;
  });
  return { ...graph, nodes };
}

/** By the node that makes the norm. */
function candidatesIn(graph: Graph): ReadonlyMap<ValueId, Candidate> {
  const found = new Map<ValueId, Candidate>();
  readersOf(graph).forEach((readers, id) => {
    const norm = normOf(graph, id);
    const [first, ...others] = readers.map((reader) => roundsOf(graph, reader));
    if (norm === undefined || first === undefined || others.some((size) => size !== first)) return;
    found.set(norm, { blockSize: first, readers });
  });
  return found;
}

function roundsOf(graph: Graph, reader: ValueId): number | undefined {
  const node = graph.nodes[reader]!;
  return node.op === 'linear' ? roundsTo(graph, node) : undefined;
}

/** Whether nothing else writes codes from the norm to its last reader. */
function isHeld(
  graph: Graph,
  candidates: ReadonlyMap<ValueId, Candidate>,
  norm: ValueId,
  { readers }: Candidate,
): boolean {
  const last = Math.max(...readers);
  for (let id = norm + 1; id < last; id++) {
    if (candidates.has(id)) return false;
    if (!readers.includes(id) && roundsTo(graph, graph.nodes[id]!) !== undefined) return false;
  }
  return true;
}
