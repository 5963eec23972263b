import type { Graph, Node, ValueId } from '../ir.ts';
import { rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      a feed that is there twice; concat_weights of the same parts twice
 * replacement  the first one, for all readers
 * condition    joined weights: the same parts in the same order
 * numerics     exact: readers read the same numbers at another place
 *
 * Constants are what does not change while a model runs: a joined matrix that is there twice would lie in memory twice. Stored
 * weights need no look: their names are their tensors', and a graph has each name once.
 */
export const shareConstants: Pass = { name: 'share_constants', numerics: 'exact', after: [], apply };

function apply(graph: Graph): Graph {
  const first = new Map<string, ValueId>();
  return rewrite(graph, (node, id, to) => {
    const key = keyOf(node);
    if (key === undefined) return undefined;
    const known = first.get(key);
    if (known !== undefined) return to.keep(known);
    first.set(key, id);
    return undefined;
  });
}

/** Equal for two constants that are the same. Inputs are weights, which never move: their ids before the pass will do. */
function keyOf(node: Node): string | undefined {
  if (node.op === 'input') return node.feed;
  if (node.op === 'patches') return `patches ${node.width}`;
  return node.op === 'concat_weights' ? `${node.dtype} ${node.inputs.join(' ')}` : undefined;
}
