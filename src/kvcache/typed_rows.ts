import { checkCoded, codedBytes, type KvCode, type KvType, packRow, unpackRow } from './coded_rows.ts';
import { type KvLayout, LANE_POSITIONS } from './layout.ts';
import { getRows, headStart, type KOrV, putRows, type RowRange, slabSize } from './slab.ts';

type Floats = Float32Array | Float64Array;

/**
 * How rows of one type lie in a slab of `capacity` positions: as slab.ts draws it, where a coded row takes the bytes of its codes. The first n
 * positions of a kv head, in whole blocks of 16, are its first n * rowBytes bytes in every type.
 */
export interface TypedRows {
  readonly type: KvType;
  /** Bytes of one position of one kv head. */
  readonly rowBytes: number;
  /** Elements of a slab. */
  elements(capacity: number): number;
  /** First byte of K (0) or V (1) of one kv head. */
  headStart(capacity: number, layer: number, which: KOrV, kvHead: number): number;
  /** Slab <- array, and array <- slab. */
  put<A extends Floats>(slab: A, capacity: number, rows: A, range: RowRange): void;
  get<A extends Floats>(slab: A, capacity: number, rows: A, range: RowRange): void;
}

/** Throws UnsupportedError when rows are not whole blocks of the type. */
export function typedRows(layout: KvLayout, type: KvType): TypedRows {
  if (type === 'f32') return plainRows(layout);
  checkCoded(type, layout.headDim);
  return codedRows(layout, type);
}

function plainRows(layout: KvLayout): TypedRows {
  const { elementBytes } = layout;
  return {
    type: 'f32',
    rowBytes: layout.headDim * elementBytes,
    elements: (capacity) => slabSize(layout, capacity),
    headStart: (capacity, ...head) => headStart(layout, capacity, ...head) * elementBytes,
    put: (slab, capacity, rows, range) => putRows(slab, layout, capacity, rows, range),
    get: (slab, capacity, rows, range) => getRows(slab, layout, capacity, rows, range),
  };
}

function codedRows(layout: KvLayout, code: KvCode): TypedRows {
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  const rowBytes = codedBytes(code, headDim, 1);
  const row = new Float32Array(headDim);
  const headOf = (capacity: number, layer: number, which: KOrV, kvHead: number): number =>
    ((layer * 2 + which) * nKvHeads + kvHead) * rowBytes * capacity;

  /** Visits every row of every kv head: its first byte in the slab, its position from there, and its first number in the array. */
  const forEachRow = (
    capacity: number,
    r: RowRange,
    visit: (start: number, position: number, from: number) => void,
  ): void => {
    for (let h = 0; h < nKvHeads; h++) {
      const start = headOf(capacity, r.layer, r.which, h);
      for (let t = 0; t < r.count; t++) visit(start, r.at + t, ((r.row + t) * nKvHeads + h) * headDim);
    }
  };

  return {
    type: code,
    rowBytes,
    // A capacity is whole blocks of 16 positions, whose codes and scales are whole elements.
    elements: (capacity) => (2 * nLayers * nKvHeads * rowBytes * capacity) / elementBytes,
    headStart: headOf,
    put(slab, capacity, rows, r) {
      const bytes = bytesOf(slab);
      forEachRow(capacity, r, (start, position, from) => {
        for (let d = 0; d < headDim; d++) row[d] = rows[from + d]!;
        packRow(code, r.which, headDim, row, 0, bytes, start, position);
      });
    },
    get(slab, capacity, rows, r) {
      const bytes = bytesOf(slab);
      forEachRow(capacity, r, (start, position, to) => {
        unpackRow(code, r.which, headDim, bytes, start, position, row, 0);
        for (let d = 0; d < headDim; d++) rows[to + d] = row[d]!;
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
