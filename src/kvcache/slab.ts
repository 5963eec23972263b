import { assert } from '../core/errors.ts';
import { type KvLayout, kIndex, vIndex } from './layout.ts';

/**
 * One stretch of memory for `capacity` positions in all layers, the unit that `contiguous` and `paged` build on.
 *
 *   layer 0 | layer 1 | ...          layer: K of all kv heads | V of all kv heads
 *   K (V) of one kv head: capacity x headDim elements, in the order of layout.ts
 */
export type KOrV = 0 | 1;

type Floats = Float32Array | Float64Array;

/** Elements of a slab. */
export function slabSize({ nLayers, nKvHeads, headDim }: KvLayout, capacity: number): number {
  return 2 * nLayers * nKvHeads * headDim * capacity;
}

/** First element of K (0) or V (1) of one kv head. */
export function headStart(layout: KvLayout, capacity: number, layer: number, which: KOrV, kvHead: number): number {
  return ((layer * 2 + which) * layout.nKvHeads + kvHead) * layout.headDim * capacity;
}

/** Calls `visit` with the first element of every head of every layer: what has to be copied, packed or wiped of a position. */
export function forEachHead(layout: KvLayout, capacity: number, visit: (start: number) => void): void {
  for (let layer = 0; layer < layout.nLayers; layer++) {
    for (const which of [0, 1] as const) {
      for (let h = 0; h < layout.nKvHeads; h++) visit(headStart(layout, capacity, layer, which, h));
    }
  }
}

/** Rows of one layer, within a slab and within an array [T, nKvHeads, headDim]. */
export interface RowRange {
  readonly layer: number;
  readonly which: KOrV;
  /** First position, counted from the slab's start. */
  readonly at: number;
  /** First row of the array, and number of rows. */
  readonly row: number;
  readonly count: number;
}

/** Slab <- array. */
export function putRows<A extends Floats>(slab: A, layout: KvLayout, capacity: number, rows: A, r: RowRange): void {
  const { nKvHeads, headDim } = layout;
  const index = r.which === 0 ? kIndex : vIndex;
  for (let t = 0; t < r.count; t++) {
    for (let h = 0; h < nKvHeads; h++) {
      const start = headStart(layout, capacity, r.layer, r.which, h);
      const from = ((r.row + t) * nKvHeads + h) * headDim;
      for (let d = 0; d < headDim; d++) slab[start + index(headDim, r.at + t, d)] = rows[from + d]!;
    }
  }
}

/** Array <- slab. */
export function getRows<A extends Floats>(slab: A, layout: KvLayout, capacity: number, rows: A, r: RowRange): void {
  const { nKvHeads, headDim } = layout;
  const index = r.which === 0 ? kIndex : vIndex;
  for (let t = 0; t < r.count; t++) {
    for (let h = 0; h < nKvHeads; h++) {
      const start = headStart(layout, capacity, r.layer, r.which, h);
      const to = ((r.row + t) * nKvHeads + h) * headDim;
      for (let d = 0; d < headDim; d++) rows[to + d] = slab[start + index(headDim, r.at + t, d)]!;
    }
  }
}

/** Number of rows in `rows`. Asserts that they are whole ones, and that their places are reserved. */
export function countRows(layout: KvLayout, length: number, from: number, rows: Floats): number {
  const nRows = rows.length / (layout.nKvHeads * layout.headDim);
  assert(
    Number.isInteger(from) && Number.isInteger(nRows) && from >= 0 && from + nRows <= length,
    `rows ${from}..${from + nRows} are reserved`,
  );
  return nRows;
}

export function checkLayer({ nLayers }: KvLayout, layer: number): void {
  assert(Number.isInteger(layer) && layer >= 0 && layer < nLayers, `layer ${layer} is within 0..${nLayers - 1}`);
}

/** An array for n rows of this layout's numbers. */
export function newRows<A extends Floats>({ nKvHeads, headDim, elementBytes }: KvLayout, n: number): A {
  const size = n * nKvHeads * headDim;
  return (elementBytes === 4 ? new Float32Array(size) : new Float64Array(size)) as A;
}
