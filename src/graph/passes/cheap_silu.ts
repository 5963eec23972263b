import { rewrite } from '../rewrite.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      silu(x)
 * replacement  silu_fast(x), under the same name
 * condition    none
 * numerics     bounded: each value is off by at most 1.23e-4 of itself and silu's own roundings (siluFastBounds)
 *
 * Runs only where it is asked for. The exponential's polynomial has degree 3 instead of 6. Before fuse_swiglu, which would take
 * the silu with it, and makes swiglu_fast of it and the product that follows.
 */
export const cheapSilu: Pass = {
  name: 'cheap_silu',
  numerics: 'bounded',
  after: ['merge_gate_up'],
  apply: (graph) =>
    rewrite(graph, (node, _id, to) =>
      node.op === 'silu' ? to.emit({ op: 'silu_fast' }, node.name, node.inputs.map(to.keep)) : undefined,
    ),
};
