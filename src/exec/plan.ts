import { assert } from '../core/errors.ts';
import type { SymbolicShape } from '../core/shape.ts';
import { halvesIn, isHalf } from '../graph/halves.ts';
import { type Graph, isCacheWrite, type ValueId } from '../graph/ir.ts';
import { type Place, placesOf } from './views.ts';

/** What the open sizes are in one run. Scores and probs have one row of cells per (head, token): `attendCells` per head. */
export interface RunSizes {
  readonly T: number;
  readonly R: number;
  /** Sum over the tokens of the row stride of their scores. */
  readonly attendCells: number;
}

/** Where each value of a run lies in one scratch buffer. */
export interface BufferPlan {
  /** Byte offset of each value; NO_BUFFER for feeds, weights and cached rows, which lie elsewhere. */
  readonly offsets: readonly number[];
  readonly totalBytes: number;
}

export const NO_BUFFER = -1;

/** Buffers start at multiples of a vector. */
const ALIGN_BYTES = 16;
const F32_BYTES = 4;

/**
 * Gives every value a place in scratch for as long as it lives: from its node to its last reader. Two values that live at
 * the same time never overlap; a place is used again as soon as its value is dead (first fit, lowest offset).
 * A view (views.ts) lies within its root's place; an op that may write over an input takes the place of one that it is
 * the last to read. The halves of a residual_norm (halves.ts) are made when it runs.
 */
export function planBuffers(graph: Graph, sizes: RunSizes): BufferPlan {
  const places = placesOf(graph);
  const lastUse = lastUses(graph, places);
  const halves = halvesIn(graph);
  const offsets: number[] = [];
  const live: { start: number; end: number; until: number }[] = []; // by rising start
  let totalBytes = 0;
  /** Gives `id` a place that is free when node `maker` runs. */
  const place = (id: ValueId, maker: ValueId): void => {
    for (let i = live.length - 1; i >= 0; i--) if (live[i]!.until < maker) live.splice(i, 1);
    const nBytes = Math.ceil(bytesOf(graph.nodes[id]!.shape, sizes) / ALIGN_BYTES) * ALIGN_BYTES;
    const { op, inputs } = graph.nodes[maker]!;
    const dying = mayOverwrite(op) ? inputs.map((input) => offsets[input]!) : [];
    const taken = live.find((l) => l.until === maker && l.end - l.start === nBytes && dying.includes(l.start));
    if (taken !== undefined) {
      taken.until = lastUse[id]!;
      offsets[id] = taken.start;
      return;
    }
    let start = 0;
    let at = 0;
    for (; at < live.length; at++) {
      if (live[at]!.start - start >= nBytes) break;
      start = Math.max(start, live[at]!.end);
    }
    live.splice(at, 0, { start, end: start + nBytes, until: lastUse[id]! });
    offsets[id] = start;
    totalBytes = Math.max(totalBytes, start + nBytes);
  };
  graph.nodes.forEach((node, id) => {
    const { root, from } = places[id]!;
    if (root !== id) offsets[id] = offsets[root]! + from * F32_BYTES;
    else if (!hasBuffer(node.op)) offsets[id] = NO_BUFFER;
    else if (!isHalf(graph, id)) place(id, id);
    for (const half of Object.values(halves.get(id) ?? {})) place(half, id);
  });
  return { offsets, totalBytes };
}

/** What planning saves: bytes of the plan, bytes of the same values with a buffer for each, and how many values those are. */
export function scratchOf(graph: Graph, sizes: RunSizes): { planned: number; apart: number; nValues: number } {
  const places = placesOf(graph);
  const own = graph.nodes.filter((node, id) => hasBuffer(node.op) && places[id]!.root === id);
  const apart = own.reduce((n, node) => n + bytesOf(node.shape, sizes), 0);
  return { planned: planBuffers(graph, sizes).totalBytes, apart, nValues: own.length };
}

/** Feeds, weights and cached rows have their own memory, a residual_norm lies where its halves do; everything else is scratch. */
export function hasBuffer(op: Graph['nodes'][number]['op']): boolean {
  return (
    op !== 'input' &&
    op !== 'weight' &&
    op !== 'concat_weights' &&
    op !== 'kv_write_k' &&
    op !== 'kv_write_v' &&
    op !== 'rope_write_k' &&
    op !== 'residual_norm'
  );
}

/** Ops whose kernels allow that the output lies where an input lay. Score rows, the largest values, are there once. */
function mayOverwrite(op: Graph['nodes'][number]['op']): boolean {
  return (
    op === 'softmax' ||
    op === 'silu' ||
    op === 'add' ||
    op === 'mul' ||
    op === 'rms_norm' ||
    op === 'residual_norm' ||
    op === 'rope' ||
    op === 'gelu' ||
    op === 'gelu_tanh' ||
    op === 'quick_gelu' ||
    op === 'relu' ||
    op === 'position_bias' ||
    op === 'tanh' ||
    op === 'soft_cap' ||
    op === 'scale' ||
    op === 'silu_fast' ||
    op === 'sigmoid' ||
    op === 'softmax_rows' ||
    op === 'swiglu' ||
    op === 'swiglu_fast' ||
    op === 'geglu' ||
    op === 'geglu_tanh' ||
    op === 'layer_norm' ||
    op === 'add_bias'
  );
}

/** Bytes of a value: T and R as they are, and [nHeads, T, S] as nHeads x attendCells. */
export function bytesOf(shape: SymbolicShape, sizes: RunSizes): number {
  if (shape.includes('S')) {
    assert(
      shape.length === 3 && shape[1] === 'T' && shape[2] === 'S',
      'only attention values [nHeads, T, S] have an S',
    );
    return (shape[0] as number) * sizes.attendCells * F32_BYTES;
  }
  return shape.reduce<number>((n, d) => n * (typeof d === 'number' ? d : d === 'T' ? sizes.T : sizes.R), F32_BYTES);
}

/** For each value, the last node that reads it or one of its views; the output lives to the end. */
export function lastUses(graph: Graph, places: readonly Place[] = placesOf(graph)): number[] {
  const last: number[] = [];
  graph.nodes.forEach((node, id) => {
    last[id] = id;
    for (const input of node.inputs) last[places[input]!.root] = id;
  });
  last[places[graph.output]!.root] = graph.nodes.length;
  return last;
}

/** The nodes that make a value in a run, in order: all but feeds and weights. */
export function stepsOf(graph: Graph): ValueId[] {
  return graph.nodes.flatMap(({ op }, id) =>
    op === 'input' || op === 'weight' || op === 'concat_weights' ? [] : [id],
  );
}

/**
 * Of these, the ones that rows of the cache come from. A run that asks for no logits, as all chunks of a prompt but the last,
 * needs no more: its last layer ends with keys and values.
 */
export function cacheStepsOf(graph: Graph): ValueId[] {
  const needed = new Set<ValueId>();
  for (let id = graph.nodes.length - 1; id >= 0; id--) {
    const node = graph.nodes[id]!;
    if (isCacheWrite(node)) needed.add(id);
    if (needed.has(id)) for (const input of node.inputs) needed.add(input);
  }
  return stepsOf(graph).filter((id) => needed.has(id));
}
