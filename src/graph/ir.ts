import type { SymbolicShape } from '../core/shape.ts';
import type { RopeSpec } from '../ops/rope_table.ts';
import type { OpAttributes, OpName } from '../ops/table.ts';

/** Index of the node that makes a value. */
export type ValueId = number;

/**
 * One value and how it is made. A member of a union over the closed list of ops (ops/table.ts): `switch (node.op)` gives
 * the attributes. `inputs` are indices of earlier nodes, so a graph is acyclic by construction.
 */
export type Node = {
  [K in OpName]: {
    readonly op: K;
    /** Unique, and kept by passes: "blk.0.q" is the same value before and after. A weight has its tensor's name. */
    readonly name: string;
    readonly inputs: readonly ValueId[];
    readonly shape: SymbolicShape;
  } & OpAttributes[K];
}[OpName];

export type NodeOf<K extends OpName> = Extract<Node, { op: K }>;

/** The nodes that add rows to the cache; a layer has one for its keys and one for its values. */
export type CacheWrite = NodeOf<'kv_write_k' | 'kv_write_v' | 'rope_write_k'>;

export function isCacheWrite(node: Node): node is CacheWrite {
  return node.op === 'kv_write_k' || node.op === 'kv_write_v' || node.op === 'rope_write_k';
}

/** What the cache must hold for one position: nLayers x nKvHeads x headDim keys, and as many values. */
export interface KvShape {
  readonly nLayers: number;
  readonly nKvHeads: number;
  readonly headDim: number;
}

/** A model's computation, in SSA order: node i makes value i. */
export interface Graph {
  readonly nodes: readonly Node[];
  /** [R, n]: the logits of decoders, n = vocab; hidden rows of encoders, n = dim. */
  readonly output: ValueId;
  /** Rope angle tables, referred to by index, shared by all layers. */
  readonly ropes: readonly RopeSpec[];
  readonly kv: KvShape;
}
