import { assert, KernelError, ShapeError } from '../core/errors.ts';
import { equalShapes, resolveShape, showShape } from '../core/shape.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import type { Graph, Node, NodeOf, ValueId } from '../graph/ir.ts';
import type { KvCache } from '../kvcache/cache.ts';
import type { KvLayout } from '../kvcache/layout.ts';
import type { KvOptions } from '../kvcache/options.ts';
import { chooseExperts } from '../ops/choose_experts.ts';
import { concat } from '../ops/concat.ts';
import type { Activations, Sums } from '../ops/linear.ts';
import type { RopeAngles, RopeLayout } from '../ops/rope.ts';
import type { RopeSpec } from '../ops/rope_table.ts';
import { slice } from '../ops/slice.ts';
import { takeRows } from '../ops/take_rows.ts';
import type { Visible } from '../ops/visible.ts';
import {
  type Batch,
  checkBatch,
  type Executor,
  type ExecutorMemory,
  feedOfBatch,
  type Logits,
  limitsOf,
  nIds,
  patchesOf,
  type Segment,
  type Tier,
  type Trace,
  visibleTo,
} from './executor.ts';
import {
  feedOf,
  joinTensors,
  joinWeights,
  layerOf,
  rowsOf,
  segmentName,
  segmentsOf,
  tensorOf,
  type Value,
  weightOf,
} from './values.ts';

/** The ops of one tier: src/ops has them side by side, for f32 and for float64. */
export interface OpSet<A extends Float32Array | Float64Array> {
  embed(ids: Int32Array, table: Weight): Tensor<A>;
  /** A one-axis weight as a tensor. */
  vector(w: Weight): Tensor<A>;
  rmsNorm(x: Tensor<A>, g: Tensor<A>, eps: number): Tensor<A>;
  residualNorm(a: Tensor<A>, b: Tensor<A>, g: Tensor<A>, eps: number): Tensor<A>;
  layerNorm(x: Tensor<A>, g: Tensor<A>, b: Tensor<A>, eps: number): Tensor<A>;
  addBias(x: Tensor<A>, b: Tensor<A>): Tensor<A>;
  linear(x: Tensor<A>, w: Weight, activations: Activations, sums?: Sums): Tensor<A>;
  ropeTable(spec: RopeSpec, nPositions: number): RopeAngles<A>;
  rope(x: Tensor<A>, positions: Int32Array, angles: RopeAngles<A>, layout: RopeLayout): Tensor<A>;
  attendScores(q: Tensor<A>, k: Tensor<A>, visible: Visible, scale: number, cap?: number, sums?: Sums): Tensor<A>;
  softmax(x: Tensor<A>, visible: Visible): Tensor<A>;
  positionBias(x: Tensor<A>, positions: Int32Array, bias: Tensor<A>, visible: Visible, maxDistance: number): Tensor<A>;
  attendMix(p: Tensor<A>, v: Tensor<A>, visible: Visible): Tensor<A>;
  attend(q: Tensor<A>, k: Tensor<A>, v: Tensor<A>, visible: Visible, scale: number, cap?: number): Tensor<A>;
  add(a: Tensor<A>, b: Tensor<A>): Tensor<A>;
  mul(a: Tensor<A>, b: Tensor<A>): Tensor<A>;
  silu(x: Tensor<A>): Tensor<A>;
  siluFast(x: Tensor<A>): Tensor<A>;
  gelu(x: Tensor<A>): Tensor<A>;
  geluTanh(x: Tensor<A>): Tensor<A>;
  quickGelu(x: Tensor<A>): Tensor<A>;
  relu(x: Tensor<A>): Tensor<A>;
  tanh(x: Tensor<A>): Tensor<A>;
  softCap(x: Tensor<A>, cap: number): Tensor<A>;
  scale(x: Tensor<A>, by: number): Tensor<A>;
  swiglu(gate: Tensor<A>, up: Tensor<A>): Tensor<A>;
  swigluFast(gate: Tensor<A>, up: Tensor<A>): Tensor<A>;
  geglu(gate: Tensor<A>, up: Tensor<A>): Tensor<A>;
  gegluTanh(gate: Tensor<A>, up: Tensor<A>): Tensor<A>;
  headLinear(x: Tensor<A>, w: Weight, activations: Activations, sums?: Sums): Tensor<A>;
  sigmoid(x: Tensor<A>): Tensor<A>;
  softmaxRows(x: Tensor<A>): Tensor<A>;
  expertWeights(scores: Tensor<A>, experts: Tensor<A>, isNormalized: boolean, scale: number): Tensor<A>;
  expertLinear(x: Tensor<A>, w: Weight, experts: Tensor<A>, activations: Activations, sums?: Sums): Tensor<A>;
  expertSum(x: Tensor<A>, weights: Tensor<A>): Tensor<A>;
}

export interface InterpreterOptions<A extends Float32Array | Float64Array> {
  readonly tier: Tier;
  readonly graph: Graph;
  /** By node name; concat_weights are joined here. */
  readonly weights: ReadonlyMap<string, Weight>;
  readonly ops: OpSet<A>;
  createCache(maxSeq: number, options?: KvOptions): KvCache<A>;
}

/**
 * Walks a graph node by node, one op call each, nothing planned and nothing reused: the plainest executor there is, and
 * the definition of what a graph means.
 */
export function createInterpreter<A extends Float32Array | Float64Array>(o: InterpreterOptions<A>): Executor {
  const { graph, ops } = o;
  const constants = new Map<ValueId, Value<A>>();
  let weightBytes = 0;
  graph.nodes.forEach((node, id) => {
    if (node.op === 'weight') {
      const weight = o.weights.get(node.name);
      assert(weight !== undefined, `weight ${node.name} was loaded`);
      assert(
        weight.dtype === node.dtype && equalShapes(weight.shape, node.shape),
        `weight ${node.name} is ${node.dtype} ${showShape(node.shape)}, not ${weight.dtype} ${showShape(weight.shape)}`,
      );
      constants.set(id, { kind: 'weight', weight });
      weightBytes += weight.bytes.byteLength;
    } else if (node.op === 'concat_weights') {
      const parts = node.inputs.map((i) => weightOf(constants.get(i)!));
      constants.set(id, { kind: 'weight', weight: joinWeights(node.name, parts) });
    }
  });
  const angles = graph.ropes.map((spec) => growingTable(spec, ops));
  const vocab = graph.nodes[graph.output]!.shape[1] as number;
  const { layout } = o.createCache(1); // only to know what this tier's caches are like
  let isDisposed = false;

  return {
    tier: o.tier,
    graph,
    threads: 1,
    kernels: `${o.tier} (plain TypeScript)`,
    get memory(): ExecutorMemory {
      return { weightBytes, scratchBytes: 0 };
    },
    createCache: o.createCache,
    run(batch: Batch, cache: KvCache, trace?: Trace): Logits {
      if (isDisposed) throw new KernelError('executor: it is disposed; load the model again');
      checkCache(layout, cache.layout);
      checkBatch(batch, cache, nIds(graph));
      const values: Value<A>[] = [];
      graph.nodes.forEach((node, id) => {
        const value = constants.get(id) ?? evaluate(node, values, batch, cache as KvCache<A>);
        values[id] = value;
        if (trace === undefined || node.op === 'residual_norm') return; // its halves are told
        if (value.kind === 'tensor') trace({ name: node.name, op: node.op, ...value.tensor });
        if (value.kind === 'perSegment') {
          value.tensors.forEach((t, i) => {
            trace({ name: segmentName(node.name, i, batch), op: node.op, ...t });
          });
        }
      });
      return { vocab, data: tensorOf(values[graph.output]!).data };
    },
    dispose() {
      isDisposed = true;
      constants.clear();
    },
  };

  function evaluate(node: Node, values: Value<A>[], batch: Batch, cache: KvCache<A>): Value<A> {
    const tensorAt = (i: number): Tensor<A> => tensorOf(values[node.inputs[i]!]!);
    const weightAt = (i: number): Weight => weightOf(values[node.inputs[i]!]!);
    const feedAt = (i: number): Int32Array => feedOf(values[node.inputs[i]!]!);
    const seen = (segment: Segment): Visible => visibleTo(batch, segment, cache, limitsOf(node));
    const give = (t: Tensor<A>): Value<A> => ({ kind: 'tensor', tensor: t });
    const turned = ({ table, layout }: NodeOf<'rope' | 'rope_write_k'>): Tensor<A> => {
      const positions = feedAt(1);
      const reach = positions.reduce((a, b) => Math.max(a, b), 0) + 1;
      return ops.rope(tensorAt(0), positions, angles[table]!(reach), layout);
    };
    switch (node.op) {
      case 'input':
        return { kind: 'feed', data: feedOfBatch(batch, node.feed, graph) };
      case 'patches':
        return give(tensor([batch.ids.length, node.width], patchesOf(batch, node.width) as A));
      case 'embed':
        return give(ops.embed(feedAt(0), weightAt(1)));
      case 'rms_norm':
        return give(ops.rmsNorm(tensorAt(0), ops.vector(weightAt(1)), node.eps));
      case 'residual_norm':
        return give(ops.residualNorm(tensorAt(0), tensorAt(1), ops.vector(weightAt(2)), node.eps));
      case 'layer_norm':
        return give(ops.layerNorm(tensorAt(0), ops.vector(weightAt(1)), ops.vector(weightAt(2)), node.eps));
      case 'add_bias':
        return give(ops.addBias(tensorAt(0), ops.vector(weightAt(1))));
      case 'linear':
        return give(ops.linear(tensorAt(0), weightAt(1), node.activations, node.sums));
      case 'slice':
        return give(slice(tensorAt(0), node.from, node.width));
      case 'reshape': {
        const sizes = { T: batch.ids.length, R: batch.outRows.length, S: 0 };
        return give(tensor(resolveShape(node.to, sizes), tensorAt(0).data));
      }
      case 'rope':
        return give(turned(node));
      case 'kv_write_k':
      case 'kv_write_v':
      case 'rope_write_k': {
        const rows = node.op === 'rope_write_k' ? turned(node) : tensorAt(0);
        const width = rows.data.length / batch.ids.length;
        for (const { sequence, from, count } of batch.segments) {
          const part = rows.data.subarray(from * width, (from + count) * width) as A;
          const at = batch.positions[from]!;
          if (node.op === 'kv_write_v') cache.writeV(sequence, node.layer, at, part);
          else cache.writeK(sequence, node.layer, at, part);
        }
        return { kind: 'cached', layer: node.layer };
      }
      case 'attend_scores': {
        const q = tensorAt(0);
        const layer = layerOf(values[node.inputs[1]!]!);
        return perSegment(batch, (segment) => {
          const keys = cachedRows(cache.readK(segment.sequence, layer));
          return ops.attendScores(rowsOf(q, segment), keys, seen(segment), node.scale, node.cap, node.sums);
        });
      }
      case 'position_bias': {
        const scores = segmentsOf(values[node.inputs[0]!]!);
        const bias = ops.vector(weightAt(2));
        return perSegment(batch, (segment, i) => {
          const positions = feedAt(1).subarray(segment.from, segment.from + segment.count);
          return ops.positionBias(scores[i]!, positions, bias, seen(segment), node.maxDistance);
        });
      }
      case 'softmax': {
        const scores = segmentsOf(values[node.inputs[0]!]!);
        return perSegment(batch, (segment, i) => ops.softmax(scores[i]!, seen(segment)));
      }
      case 'attend_mix': {
        const probs = segmentsOf(values[node.inputs[0]!]!);
        const layer = layerOf(values[node.inputs[1]!]!);
        const parts = batch.segments.map((segment, i) => {
          const rows = cachedRows(cache.readV(segment.sequence, layer));
          const visible = seen(segment);
          cache.attended?.(segment.sequence, layer, probs[i]!, visible);
          return ops.attendMix(probs[i]!, rows, visible);
        });
        return give(joinTensors(parts));
      }
      case 'attend': {
        const q = tensorAt(0);
        const [keysOf, valuesOf] = [layerOf(values[node.inputs[1]!]!), layerOf(values[node.inputs[2]!]!)];
        const parts = batch.segments.map((segment) => {
          const keys = cachedRows(cache.readK(segment.sequence, keysOf));
          const rows = cachedRows(cache.readV(segment.sequence, valuesOf));
          const visible = seen(segment);
          const queries = rowsOf(q, segment);
          if (cache.attended === undefined) return ops.attend(queries, keys, rows, visible, node.scale, node.cap);
          // A cache that asks what was attended to sees the probabilities in between.
          const probs = ops.softmax(ops.attendScores(queries, keys, visible, node.scale, node.cap), visible);
          cache.attended(segment.sequence, valuesOf, probs, visible);
          return ops.attendMix(probs, rows, visible);
        });
        return give(joinTensors(parts));
      }
      case 'add':
        return give(ops.add(tensorAt(0), tensorAt(1)));
      case 'mul':
        return give(ops.mul(tensorAt(0), tensorAt(1)));
      case 'silu':
        return give(ops.silu(tensorAt(0)));
      case 'silu_fast':
        return give(ops.siluFast(tensorAt(0)));
      case 'gelu':
        return give(ops.gelu(tensorAt(0)));
      case 'gelu_tanh':
        return give(ops.geluTanh(tensorAt(0)));
      case 'quick_gelu':
        return give(ops.quickGelu(tensorAt(0)));
      case 'relu':
        return give(ops.relu(tensorAt(0)));
      case 'tanh':
        return give(ops.tanh(tensorAt(0)));
      case 'soft_cap':
        return give(ops.softCap(tensorAt(0), node.cap));
      case 'scale':
        return give(ops.scale(tensorAt(0), node.by));
      case 'swiglu':
        return give(ops.swiglu(tensorAt(0), tensorAt(1)));
      case 'swiglu_fast':
        return give(ops.swigluFast(tensorAt(0), tensorAt(1)));
      case 'geglu':
        return give(ops.geglu(tensorAt(0), tensorAt(1)));
      case 'geglu_tanh':
        return give(ops.gegluTanh(tensorAt(0), tensorAt(1)));
      case 'concat':
        return give(concat(tensorAt(0), tensorAt(1)));
      case 'head_linear':
        return give(ops.headLinear(tensorAt(0), weightAt(1), node.activations, node.sums));
      case 'sigmoid':
        return give(ops.sigmoid(tensorAt(0)));
      case 'softmax_rows':
        return give(ops.softmaxRows(tensorAt(0)));
      case 'choose_experts':
        return give(chooseExperts(tensorAt(0), node.nChosen, node.groups));
      case 'expert_weights':
        return give(ops.expertWeights(tensorAt(0), tensorAt(1), node.isNormalized, node.scale));
      case 'expert_linear':
        return give(ops.expertLinear(tensorAt(0), weightAt(1), tensorAt(2), node.activations, node.sums));
      case 'expert_sum':
        return give(ops.expertSum(tensorAt(0), tensorAt(1)));
      case 'take_rows':
        return give(takeRows(tensorAt(0), feedAt(1)));
      case 'weight':
      case 'concat_weights':
        throw new Error(`unreachable: ${node.op} is a constant`);
      default:
        return node satisfies never;
    }
  }

  function cachedRows(data: A): Tensor<A> {
    const { nKvHeads, headDim } = graph.kv;
    return tensor([data.length / (nKvHeads * headDim), nKvHeads, headDim], data);
  }
}

/** Throws ShapeError unless the cache's rows are what this graph and tier write. */
function checkCache(needed: KvLayout, given: KvLayout): void {
  for (const key of ['nLayers', 'nKvHeads', 'headDim', 'elementBytes'] as const) {
    if (given[key] !== needed[key]) {
      throw new ShapeError(
        `kv cache: ${key} is ${given[key]}, this executor needs ${needed[key]}; make the cache with its createCache`,
      );
    }
  }
}

function perSegment<A extends Float32Array | Float64Array>(
  batch: Batch,
  make: (segment: Batch['segments'][number], index: number) => Tensor<A>,
): Value<A> {
  return { kind: 'perSegment', tensors: batch.segments.map(make) };
}

/** A rope table begins with this many positions. */
const FIRST_REACH = 64;

/** A rope table that doubles when a run reaches further than it does. */
function growingTable<A extends Float32Array | Float64Array>(spec: RopeSpec, ops: OpSet<A>) {
  let reach = 0;
  let table: RopeAngles<A> | undefined;
  return (nPositions: number): RopeAngles<A> => {
    if (table === undefined || nPositions > reach) {
      const next = Math.max(nPositions, 2 * reach, FIRST_REACH);
      table = ops.ropeTable(spec, next);
      reach = next;
    }
    return table;
  };
}
