import { DTYPES } from '../core/dtype.ts';
import { takesQ8 } from '../quant/codes.ts';
import { isHalf } from './halves.ts';
import type { Graph, Node, NodeOf, ValueId } from './ir.ts';

/** The size of the int8 blocks to which a product rounds its input; undefined where it takes it as it is, and of all other ops. */
export function roundsTo({ nodes }: Graph, node: Node): number | undefined {
  if (node.op !== 'linear' && node.op !== 'expert_linear' && node.op !== 'head_linear') return undefined;
  const { dtype } = nodes[node.inputs[1]!] as NodeOf<'weight' | 'concat_weights'>;
  return node.activations === 'q8' && takesQ8(dtype) ? DTYPES[dtype].blockSize : undefined;
}

/** The node whose kernel makes the norm that a value is: the value's own, or that of which it is a half. undefined: it is no norm. */
export function normOf(graph: Graph, id: ValueId): ValueId | undefined {
  const node = graph.nodes[id]!;
  if (node.op === 'rms_norm' || node.op === 'layer_norm') return id;
  return node.op === 'slice' && isHalf(graph, id) && node.from > 0 ? node.inputs[0] : undefined;
}

/** The size of the blocks in which codes of a value are written when it is made; undefined where there are none. */
export function codesOf(graph: Graph, id: ValueId): number | undefined {
  const norm = normOf(graph, id);
  return norm === undefined
    ? undefined
    : (graph.nodes[norm] as NodeOf<'rms_norm' | 'layer_norm' | 'residual_norm'>).codes;
}
