import { assert } from '../core/errors.ts';
import { type Tensor, tensor, type Weight } from '../core/tensor.ts';
import type { Batch, Segment } from './executor.ts';

/** What the interpreter's nodes give, and how values are taken apart and joined. */

type Floats = Float32Array | Float64Array;

/**
 * Attention values exist once per segment, since S differs between sequences; `cached` stands for all rows of one layer in
 * the cache.
 */
export type Value<A extends Floats> =
  | { readonly kind: 'feed'; readonly data: Int32Array }
  | { readonly kind: 'weight'; readonly weight: Weight }
  | { readonly kind: 'tensor'; readonly tensor: Tensor<A> }
  | { readonly kind: 'cached'; readonly layer: number }
  | { readonly kind: 'perSegment'; readonly tensors: readonly Tensor<A>[] };

/** "blk.0.probs", or "blk.0.probs#1" for the second of several sequences: names that every executor uses. */
export function segmentName(name: string, index: number, batch: Batch): string {
  return batch.segments.length === 1 ? name : `${name}#${index}`;
}

/** Rows of one segment: a view. */
export function rowsOf<A extends Floats>(x: Tensor<A>, segment: Segment): Tensor<A> {
  const width = x.data.length / x.shape[0]!;
  const data = x.data.subarray(segment.from * width, (segment.from + segment.count) * width) as A;
  return tensor([segment.count, ...x.shape.slice(1)], data);
}

/** The rows of several tensors, one after the other. */
export function joinTensors<A extends Floats>(parts: readonly Tensor<A>[]): Tensor<A> {
  const first = parts[0]!;
  if (parts.length === 1) return first;
  const n = parts.reduce((sum, p) => sum + p.data.length, 0);
  const data = (first.data instanceof Float32Array ? new Float32Array(n) : new Float64Array(n)) as A;
  let at = 0;
  for (const part of parts) {
    data.set(part.data as never, at);
    at += part.data.length;
  }
  const nRows = parts.reduce((sum, p) => sum + p.shape[0]!, 0);
  return tensor([nRows, ...first.shape.slice(1)], data);
}

/** The rows of several weights of one format as one weight: their bytes one after the other. */
export function joinWeights(name: string, parts: readonly Weight[]): Weight {
  const first = parts[0]!;
  const bytes = new Uint8Array(parts.reduce((n, p) => n + p.bytes.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part.bytes, at);
    at += part.bytes.byteLength;
  }
  const nOut = parts.reduce((n, p) => n + p.shape[0]!, 0);
  return { name, dtype: first.dtype, shape: [nOut, ...first.shape.slice(1)], bytes };
}

export function tensorOf<A extends Floats>(value: Value<A>): Tensor<A> {
  assert(value.kind === 'tensor', `a tensor is read where the graph has one, not a ${value.kind}`);
  return value.tensor;
}

export function weightOf<A extends Floats>(value: Value<A>): Weight {
  assert(value.kind === 'weight', `a weight is read where the graph has one, not a ${value.kind}`);
  return value.weight;
}

export function feedOf<A extends Floats>(value: Value<A>): Int32Array {
  assert(value.kind === 'feed', `a feed is read where the graph has one, not a ${value.kind}`);
  return value.data;
}

export function layerOf<A extends Floats>(value: Value<A>): number {
  assert(value.kind === 'cached', `cached rows are read where the graph has them, not a ${value.kind}`);
  return value.layer;
}

export function segmentsOf<A extends Floats>(value: Value<A>): readonly Tensor<A>[] {
  assert(value.kind === 'perSegment', `attention values are read where the graph has them, not a ${value.kind}`);
  return value.tensors;
}
