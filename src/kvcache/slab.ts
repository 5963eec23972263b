import { assert } from '../core/errors.ts';
import type { KvLayout } from './layout.ts';

/**
 * One stretch of memory for `capacity` positions in all layers, the unit that all forms build on.
 *
 *   layer 0 | layer 1 | ...          layer: K of all kv heads | V of all kv heads
 *   K (V) of one kv head: capacity rows, in the order of layout.ts, as codes in that of coded_rows.ts (typed_rows.ts)
 */
export type KOrV = 0 | 1;

type Floats = Float32Array | Float64Array;

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
