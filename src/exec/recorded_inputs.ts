import { assert } from '../core/errors.ts';
import { resolveShape } from '../core/shape.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import type { CacheWrite, Graph, NodeOf, ValueId } from '../graph/ir.ts';
import type { KvCache } from '../kvcache/cache.ts';
import { rope } from '../ops/rope.ts';
import { ropeTable } from '../ops/rope_table.ts';
import { type Batch, feedOfBatch, type Segment } from './executor.ts';
import type { Recording } from './record.ts';
import { joinWeights, rowsOf } from './values.ts';

/** A run of an f32 tier that was recorded, and what it read. */
export interface RecordedRun {
  readonly graph: Graph;
  /** By name, as the naive executors take them. */
  readonly weights: ReadonlyMap<string, Weight>;
  readonly batch: Batch;
  /** Every value of the graph (reshapes aside, which move nothing). */
  readonly recording: Recording;
  /** As the run left it: it holds the rows of earlier runs that attention has read. */
  readonly cache: KvCache;
}

/** Finds what the nodes of a recorded run have read. */
export interface RecordedInputs {
  readonly graph: Graph;
  readonly batch: Batch;
  /** The value of that name in the trace. */
  recorded(name: string): Tensor;
  readonly cache: KvCache;
  tensor(id: ValueId): Tensor;
  feed(id: ValueId): Int32Array;
  weight(id: ValueId): Weight;
  /** What a node turned before it wrote it to the cache. */
  turnedKeys(node: NodeOf<'rope_write_k'>): Tensor;
  /** The rows that the cache has of a write's layer, [S, nKvHeads, headDim]: new ones as they were recorded, older ones (and rounded ones) from the cache. */
  cachedRows(id: ValueId, segment: Segment): Tensor;
}

export function recordedInputs({ graph, weights, batch, recording, cache }: RecordedRun): RecordedInputs {
  const sizes = { T: batch.ids.length, R: batch.outRows.length, S: 0 };
  const joined = new Map<ValueId, Weight>();

  const recorded = (name: string): Tensor => {
    const value = recording.values.get(name);
    assert(value !== undefined, `the recording has ${name}`);
    assert(value.data instanceof Float32Array, `${name} was recorded in f32: bounds are for the f32 tiers`);
    return { shape: value.shape, data: value.data };
  };

  const tensorAt = (id: ValueId): Tensor => {
    const node = graph.nodes[id]!;
    if (node.op !== 'reshape') return recorded(node.name);
    return tensor(resolveShape(node.shape, sizes), tensorAt(node.inputs[0]!).data);
  };

  // Nobody recorded turned keys that went straight into the cache: they are computed anew, as the definition has them.
  const turnedKeys = ({ inputs, table, layout }: NodeOf<'rope_write_k'>): Tensor => {
    const reach = batch.positions.reduce((a, b) => Math.max(a, b), 0) + 1;
    return rope(tensorAt(inputs[0]!), batch.positions, ropeTable(graph.ropes[table]!, reach), layout);
  };

  const weightAt = (id: ValueId): Weight => {
    const node = graph.nodes[id]!;
    const known = joined.get(id) ?? weights.get(node.name);
    if (known !== undefined) return known;
    assert(node.op === 'concat_weights', `weight ${node.name} was handed in`);
    const weight = joinWeights(node.name, node.inputs.map(weightAt));
    joined.set(id, weight);
    return weight;
  };

  return {
    graph,
    batch,
    turnedKeys,
    cache,
    recorded,
    tensor: tensorAt,
    feed: (id) => feedOfBatch(batch, (graph.nodes[id] as NodeOf<'input'>).feed, graph),
    weight: weightAt,
    cachedRows(id, segment) {
      const node = graph.nodes[id] as CacheWrite;
      const { nKvHeads, headDim } = graph.kv;
      const { sequence, from } = segment;
      const rows = node.op === 'kv_write_v' ? cache.readV(sequence, node.layer) : cache.readK(sequence, node.layer);
      if (cache.codes !== null)
        return tensor([rows.length / (nKvHeads * headDim), nKvHeads, headDim], rows as Float32Array);
      const first = batch.positions[from]! - cache.dropped(sequence);
      const written = node.op === 'rope_write_k' ? turnedKeys(node) : tensorAt(node.inputs[0]!);
      rows.set(rowsOf(written, segment).data, first * nKvHeads * headDim);
      return tensor([rows.length / (nKvHeads * headDim), nKvHeads, headDim], rows as Float32Array);
    },
  };
}
