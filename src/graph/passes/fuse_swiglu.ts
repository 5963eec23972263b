import { fuseGate } from './fuse_gate.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      mul(silu(gate), up), in either order; the same with silu_fast
 * replacement  swiglu(gate, up); swiglu_fast(gate, up)
 * condition    nothing else reads silu(gate)
 * numerics     exact: the same roundings; a product does not depend on the order of its factors
 *
 * One sweep instead of two, and one call for all rows, where gate and up are the halves of a merged linear's rows: the activation
 * is not written and read again between them.
 */
export const fuseSwiglu: Pass = {
  name: 'fuse_swiglu',
  numerics: 'exact',
  after: ['share_common', 'merge_gate_up', 'last_row_only'],
  apply: (graph) => fuseGate(fuseGate(graph, 'silu', 'swiglu'), 'silu_fast', 'swiglu_fast'),
};
