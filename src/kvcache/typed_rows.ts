import { checkCoded, codedBytes, type KvType, packRow, unpackRow } from './coded_rows.ts';
import { type KvLayout, kIndex, LANE_POSITIONS, vIndex } from './layout.ts';
import type { KOrV, RowRange } from './slab.ts';

type Floats = Float32Array | Float64Array;

/**
 * How rows of one type lie in a slab of `capacity` positions, a multiple of 16 (slab.ts draws it). The first n positions of a kv head, in
 * whole blocks of 16, are its first n * rowBytes bytes in every type: growing and forking are one copy for each head.
 */
export interface TypedRows {
  readonly type: KvType;
  /** Bytes of one position of one kv head. */
  readonly rowBytes: number;
  /** Elements of a slab. */
  elements(capacity: number): number;
  /** First byte of K (0) or V (1) of one kv head. */
  headStart(capacity: number, layer: number, which: KOrV, kvHead: number): number;
  /** Those of all heads of all layers: what has to be copied, packed or wiped of a position. */
  headStarts(capacity: number): number[];
  /** Slab <- array. */
  put<A extends Floats>(slab: A, capacity: number, rows: A, range: RowRange): void;
  /** Array <- slab. */
  get<A extends Floats>(slab: A, capacity: number, rows: A, range: RowRange): void;
}

/** Throws UnsupportedError when rows are not whole blocks of the type. */
export function typedRows(layout: KvLayout, type: KvType): TypedRows {
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  if (type !== 'f32') checkCoded(type, headDim);
  const rowBytes = type === 'f32' ? headDim * elementBytes : codedBytes(type, headDim, 1);
  const nHeads = 2 * nLayers * nKvHeads;
  const row = new Float32Array(headDim);
  const headStart: TypedRows['headStart'] = (capacity, layer, which, kvHead) =>
    ((layer * 2 + which) * nKvHeads + kvHead) * rowBytes * capacity;

  /** Visits every row of every kv head: its first byte in the slab, its position from there, and its first number in the array. */
  const forEachRow = (
    capacity: number,
    { layer, which, at, row: first, count }: RowRange,
    visit: (start: number, position: number, from: number) => void,
  ): void => {
    for (let h = 0; h < nKvHeads; h++) {
      const start = headStart(capacity, layer, which, h);
      for (let t = 0; t < count; t++) visit(start, at + t, ((first + t) * nKvHeads + h) * headDim);
    }
  };

  return {
    type,
    rowBytes,
    elements: (capacity) => (nHeads * rowBytes * capacity) / elementBytes,
    headStart,
    headStarts: (capacity) => Array.from({ length: nHeads }, (_, head) => head * rowBytes * capacity),
    put(slab, capacity, rows, range) {
      const { which } = range;
      const index = which === 0 ? kIndex : vIndex;
      forEachRow(capacity, range, (start, position, from) => {
        if (type === 'f32') {
          const first = start / elementBytes;
          for (let d = 0; d < headDim; d++) slab[first + index(headDim, position, d)] = rows[from + d]!;
        } else {
          for (let d = 0; d < headDim; d++) row[d] = rows[from + d]!;
          packRow(type, which, headDim, row, 0, bytesOf(slab), start, position);
        }
      });
    },
    get(slab, capacity, rows, range) {
      const { which } = range;
      const index = which === 0 ? kIndex : vIndex;
      forEachRow(capacity, range, (start, position, to) => {
        if (type === 'f32') {
          const first = start / elementBytes;
          for (let d = 0; d < headDim; d++) rows[to + d] = slab[first + index(headDim, position, d)]!;
        } else {
          unpackRow(type, which, headDim, bytesOf(slab), start, position, row, 0);
          for (let d = 0; d < headDim; d++) rows[to + d] = row[d]!;
        }
      });
    },
  };
}

/** Bytes that one position takes, all layers, K and V. */
export function typedPositionBytes(layout: KvLayout, type: KvType): number {
  return (typedRows(layout, type).elements(LANE_POSITIONS) * layout.elementBytes) / LANE_POSITIONS;
}

export function bytesOf(view: Floats): Uint8Array {
  return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
}
