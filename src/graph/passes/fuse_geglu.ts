import { fuseGate } from './fuse_gate.ts';
import type { Pass } from './pass.ts';

/**
 * pattern      mul(gelu(gate), up), in either order; the same with gelu_tanh
 * replacement  geglu(gate, up); geglu_tanh(gate, up)
 * condition    nothing else reads gelu(gate)
 * numerics     exact: as fuse_swiglu, of which this is the form with the other activations
 */
export const fuseGeglu: Pass = {
  name: 'fuse_geglu',
  numerics: 'exact',
  after: ['share_common', 'merge_gate_up', 'last_row_only'],
  apply: (graph) => fuseGate(fuseGate(graph, 'gelu', 'geglu'), 'gelu_tanh', 'geglu_tanh'),
};
