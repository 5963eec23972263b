import { DTYPES } from '../core/dtype.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import type { Node, NodeOf } from '../graph/ir.ts';
import { add } from '../ops/add.ts';
import { attendScores } from '../ops/attend_scores.ts';
import { chooseExperts } from '../ops/choose_experts.ts';
import { concat } from '../ops/concat.ts';
import { embed64 } from '../ops/embed.ts';
import { gelu } from '../ops/gelu.ts';
import { geluTanh } from '../ops/gelu_tanh.ts';
import { allHeads, asRows } from '../ops/head_linear.ts';
import { relu64 } from '../ops/relu.ts';
import { ropeTable64 } from '../ops/rope_table.ts';
import { silu } from '../ops/silu.ts';
import { siluFast } from '../ops/silu_fast.ts';
import { slice } from '../ops/slice.ts';
import { softmax } from '../ops/softmax.ts';
import { asHeads } from '../ops/softmax_rows.ts';
import { takeRows } from '../ops/take_rows.ts';
import type { Visible } from '../ops/visible.ts';
import { takesQ8 } from '../quant/codes.ts';
import { FORMATS } from '../quant/formats.ts';
import { limitsOf, type Segment, visibleTo } from './executor.ts';
import { expertLinearBounds, expertSumBounds, expertWeightsBounds, slotRows } from './expert_bounds.ts';
import {
  activationBounds,
  addBiasBounds,
  addBounds,
  attendMixBounds,
  attendScoresBounds,
  type Bounded,
  exactly,
  linearBounds,
  linearQ8Bounds,
  mulBounds,
  positionBiasBounds,
  ropeBounds,
  scaleBounds,
  wide,
} from './op_bounds.ts';
import type { RecordedInputs } from './recorded_inputs.ts';
import {
  geluBounds,
  geluTanhBounds,
  layerNormBounds,
  quickGeluBounds,
  rmsNormBounds,
  sigmoidBounds,
  siluBounds,
  siluFastBounds,
  softCapBounds,
  softmaxBounds,
  tanhBounds,
} from './row_bounds.ts';
import { joinTensors, rowsOf, segmentName } from './values.ts';

/** The gated ops: what their activation is called, how it is defined and what bounds it. */
const GATES = {
  swiglu: ['silu', silu, siluBounds],
  swiglu_fast: ['silu_fast', siluFast, siluFastBounds],
  geglu: ['gelu', gelu, geluBounds],
  geglu_tanh: ['gelu_tanh', geluTanh, geluTanhBounds],
} as const;

/** Numbers of one op, and where they should lie. */
export interface Check extends Bounded {
  /** The op, or a part of it that has a bound of its own. */
  readonly op: string;
  /** Of the recorded value. */
  readonly name: string;
  readonly values: ArrayLike<number>;
}

/**
 * What there is to check of one node: nothing where it computes nothing, one check for each sequence where attention's
 * values are apart, two for a linear with quantized activations (its rounding, and its sums over the rounded activations).
 */
export function checksOf(node: Node, run: RecordedInputs): Check[] {
  const { batch } = run;
  const x = (): Tensor => run.tensor(node.inputs[0]!);
  const y = (): Tensor => run.tensor(node.inputs[1]!);
  const weight = (): Weight => run.weight(node.inputs[1]!);
  const check = (bounded: Bounded, op: string = node.op, name = node.name): Check => ({
    op,
    name,
    values: run.recorded(name).data,
    ...bounded,
  });
  const seen = (segment: Segment): Visible => visibleTo(batch, segment, run.cache, limitsOf(node));
  /** The part of a value per sequence that belongs to segment i. */
  const part = (of: Node, i: number): string => segmentName(of.name, i, batch);
  const scores = (i: number): Tensor => run.recorded(part(run.graph.nodes[node.inputs[0]!]!, i));

  /** Of rows by the matrices of what they have chosen: experts, or all heads. */
  const productChecks = (rows: Tensor, chosen: Tensor): Check[] => {
    const w = weight();
    const { activations } = node as NodeOf<'expert_linear' | 'head_linear'>;
    if (activations === 'f32' || !takesQ8(w.dtype)) return [check(expertLinearBounds(rows, w, chosen, linearBounds))];
    const { rounded, ...rounding } = activationBounds(slotRows(rows, w, chosen), DTYPES[w.dtype].blockSize);
    return [
      { op: 'activations q8', name: node.name, values: rounded, ...rounding },
      check(expertLinearBounds(rows, w, chosen, linearQ8Bounds), `${node.op} q8`),
    ];
  };

  switch (node.op) {
    case 'input':
    case 'weight':
    case 'concat_weights':
    case 'patches': // what the caller gives
    case 'reshape':
    case 'kv_write_k': // what attention reads: a wrong write shows in its scores
    case 'kv_write_v':
    case 'residual_norm': // each half is checked as what it is
      return [];
    case 'embed':
      return [check(exactly(embed64(run.feed(node.inputs[0]!), weight()).data))];
    case 'slice': {
      const from = run.graph.nodes[node.inputs[0]!]!;
      if (from.op === 'residual_norm') return [check(...halfBounds(node, from, run))];
      return [check(exactly(slice(wide(x()), node.from, node.width).data))];
    }
    case 'take_rows':
      return [check(exactly(takeRows(wide(x()), batch.outRows).data))];
    case 'rms_norm':
      return [check(rmsNormBounds(x(), unpackVector(weight()), node.eps))];
    case 'layer_norm': {
      const b = unpackVector(run.weight(node.inputs[2]!));
      return [check(layerNormBounds(x(), unpackVector(weight()), b, node.eps))];
    }
    case 'add_bias':
      return [check(addBiasBounds(x(), unpackVector(weight())))];
    case 'linear': {
      const { dtype } = weight();
      if (node.activations === 'f32' || !takesQ8(dtype)) return [check(linearBounds(x(), weight()))];
      const { rounded, ...activations } = activationBounds(x(), DTYPES[dtype].blockSize);
      return [
        { op: 'activations q8', name: node.name, values: rounded, ...activations },
        check(linearQ8Bounds(x(), weight()), 'linear q8'),
      ];
    }
    case 'rope':
    case 'rope_write_k': {
      const nPositions = batch.positions.reduce((a, b) => Math.max(a, b), 0) + 1;
      const angles = ropeTable64(run.graph.ropes[node.table]!, nPositions);
      const bounded = ropeBounds(x(), batch.positions, angles, node.layout);
      if (node.op === 'rope') return [check(bounded)];
      // What lands in the cache shows in the scores.
      return [{ op: 'rope', name: node.name, values: run.turnedKeys(node).data, ...bounded }];
    }
    case 'attend_scores':
      return batch.segments.map((segment, i) => {
        const keys = run.cachedRows(node.inputs[1]!, segment);
        const q = rowsOf(x(), segment);
        const bounded = attendScoresBounds(q, keys, seen(segment), node.scale, node.cap);
        return check(bounded, node.op, part(node, i));
      });
    case 'position_bias': {
      const bias = unpackVector(run.weight(node.inputs[2]!));
      return batch.segments.map((segment, i) => {
        const positions = batch.positions.subarray(segment.from, segment.from + segment.count);
        const bounded = positionBiasBounds(scores(i), positions, bias, seen(segment), node.maxDistance);
        return check(bounded, node.op, part(node, i));
      });
    }
    case 'softmax':
      return batch.segments.map((segment, i) => check(softmaxBounds(scores(i), seen(segment)), node.op, part(node, i)));
    case 'attend_mix': {
      const parts = batch.segments.map((segment, i) => {
        const values = run.cachedRows(node.inputs[1]!, segment);
        return attendMixBounds(scores(i), values, seen(segment));
      });
      return [check({ exact: join(parts.map((p) => p.exact)), bound: join(parts.map((p) => p.bound)) })];
    }
    case 'attend': {
      // Part by part: scores and probabilities, which nobody recorded, are computed anew as the definition has them.
      const checks: Check[] = [];
      const parts = batch.segments.map((segment, i) => {
        const visible = seen(segment);
        const q = rowsOf(x(), segment);
        const keys = run.cachedRows(node.inputs[1]!, segment);
        const inner = attendScores(q, keys, visible, node.scale, node.cap);
        const probs = softmax(inner, visible);
        const name = part(node, i);
        const scoresBounded = attendScoresBounds(q, keys, visible, node.scale, node.cap);
        checks.push({ op: 'attend_scores', name, values: inner.data, ...scoresBounded });
        checks.push({ op: 'softmax', name, values: probs.data, ...softmaxBounds(inner, visible) });
        return attendMixBounds(probs, run.cachedRows(node.inputs[2]!, segment), visible);
      });
      const bounded = { exact: join(parts.map((p) => p.exact)), bound: join(parts.map((p) => p.bound)) };
      return [...checks, check(bounded, 'attend_mix')];
    }
    case 'add':
      return [check(addBounds(x(), y()))];
    case 'mul':
      return [check(mulBounds(x(), y()))];
    case 'swiglu':
    case 'swiglu_fast':
    case 'geglu':
    case 'geglu_tanh': {
      // Part by part: the gate's activation, which nobody recorded, is computed anew as the definition has it.
      const [part, act, bounds] = GATES[node.op];
      const active = act(x());
      const inner = { op: part, name: node.name, values: active.data, ...bounds(x()) };
      return [inner, check(mulBounds(active, y()), 'mul')];
    }
    case 'silu':
      return [check(siluBounds(x()))];
    case 'silu_fast':
      return [check(siluFastBounds(x()))];
    case 'gelu':
      return [check(geluBounds(x()))];
    case 'gelu_tanh':
      return [check(geluTanhBounds(x()))];
    case 'quick_gelu':
      return [check(quickGeluBounds(x()))];
    case 'relu':
      return [check(exactly(relu64(wide(x())).data))];
    case 'tanh':
      return [check(tanhBounds(x()))];
    case 'concat':
      return [check(exactly(concat(wide(x()), wide(y())).data))];
    case 'head_linear': {
      const rows = asRows(x(), weight());
      return productChecks(rows, allHeads(x()));
    }
    case 'sigmoid':
      return [check(sigmoidBounds(x()))];
    case 'softmax_rows':
      return [check(softmaxBounds(...asHeads(x())), 'softmax')];
    case 'choose_experts':
      return [check(exactly(chooseExperts(wide(x()), node.nChosen, node.groups).data))];
    case 'expert_weights':
      return [check(expertWeightsBounds(x(), y(), node.isNormalized, node.scale))];
    case 'expert_linear': {
      return productChecks(x(), run.tensor(node.inputs[2]!));
    }
    case 'expert_sum':
      return [check(expertSumBounds(x(), y()))];
    case 'soft_cap':
      return [check(softCapBounds(x(), node.cap))];
    case 'scale':
      return [check(scaleBounds(x(), node.by))];
    default:
      return node satisfies never;
  }
}

/** A half of a residual_norm, as the op that it is; the norm's input, which nobody need have recorded, is the sum as the definition has it. */
function halfBounds(
  { from }: NodeOf<'slice'>,
  { inputs, eps }: NodeOf<'residual_norm'>,
  run: RecordedInputs,
): [Bounded, string] {
  const [a, b] = [run.tensor(inputs[0]!), run.tensor(inputs[1]!)];
  if (from === 0) return [addBounds(a, b), 'add'];
  return [rmsNormBounds(add(a, b), unpackVector(run.weight(inputs[2]!)), eps), 'rms_norm'];
}

function join(parts: readonly Float64Array[]): Float64Array {
  return joinTensors(parts.map((data) => tensor([data.length], data))).data;
}

/** A one-axis weight as a tensor. */
function unpackVector(w: Weight): Tensor {
  const data = new Float32Array(w.shape[0]!);
  FORMATS[w.dtype].unpack(w.bytes, 0, data, 0, data.length);
  return tensor(w.shape, data);
}
