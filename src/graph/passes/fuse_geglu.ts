import { fuseGate } from './fuse_gate.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      mul(gelu(gate), up), in either order
 * replacement  geglu(gate, up)
 * condition    nothing else reads gelu(gate)
 * numerics     exact: as fuse_swiglu, of which this is the form with the other activation
 */
export const fuseGeglu: Pass = {
  name: 'fuse_geglu',
  numerics: 'exact',
  after: ['share_common', 'merge_gate_up', 'last_row_only'],
  apply: (graph) => fuseGate(graph, 'gelu', 'geglu'),
};
