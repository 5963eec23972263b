import type { KvSlab, KvStorage } from './cache.ts';
import { codedBytes, type KvType, packRow, unpackRow } from './coded_rows.ts';
import { type KvLayout, kIndex, vIndex } from './layout.ts';
import { type KOrV, newRows } from './slab.ts';

type Floats = Float32Array | Float64Array;

/**
 * A page: the rows of PAGE_POSITIONS consecutive positions, of all layers, in one slab and one type.
 *
 *   slab: layer 0 | layer 1 | ...     layer: K of all kv heads | V of all kv heads     a kv head: one stretch
 *   a stretch: f32 rows in the order of layout.ts, coded ones in the order of coded_rows.ts
 */
export interface RowPage<A extends Floats> {
  readonly slab: KvSlab<A>;
  readonly type: KvType;
}

/** Four blocks: a page that is coded is unpacked as a whole when it is read, and should stay in a first-level cache. */
export const PAGE_POSITIONS = 64;

/** Bytes of one kv head's stretch. */
function stretchOf({ headDim, elementBytes }: KvLayout, type: KvType): number {
  return type === 'f32' ? PAGE_POSITIONS * headDim * elementBytes : codedBytes(type, headDim, PAGE_POSITIONS);
}

/** Bytes of a page: 2 nLayers nKvHeads stretches, in whole elements. */
export function pageBytes(layout: KvLayout, type: KvType): number {
  const nBytes = 2 * layout.nLayers * layout.nKvHeads * stretchOf(layout, type);
  return Math.ceil(nBytes / layout.elementBytes) * layout.elementBytes;
}

/** Reads and writes pages of one layout. Positions are counted within their page. */
export interface RowPages<A extends Floats> {
  alloc(type: KvType): RowPage<A>;
  free(page: RowPage<A>): void;
  bytes(page: RowPage<A>): number;
  /** Bytes of one kv head's stretch, and from the slab's start to the first one of a layer's K (0) or V (1). */
  stretchBytes(type: KvType): number;
  layerStart(type: KvType, layer: number, which: KOrV): number;
  /** One position of one layer. rows: [*, nKvHeads, headDim], `from` the first element of its row. */
  write(page: RowPage<A>, layer: number, which: KOrV, position: number, rows: A, from: number): void;
  read(page: RowPage<A>, layer: number, which: KOrV, position: number, rows: A, to: number): void;
  /** A second page with the same rows in another type, or the same one. */
  copy(page: RowPage<A>, type: KvType): RowPage<A>;
}

export function createRowPages<A extends Floats>(layout: KvLayout, storage: KvStorage<A>): RowPages<A> {
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  const row = new Float32Array(headDim);

  const stretchBytes = (type: KvType): number => stretchOf(layout, type);
  const layerStart = (type: KvType, layer: number, which: KOrV): number =>
    (layer * 2 + which) * nKvHeads * stretchBytes(type);
  const bytesOf = (page: RowPage<A>): Uint8Array => {
    const view = page.slab.view();
    return new Uint8Array(view.buffer, view.byteOffset, view.byteLength);
  };

  const pages: RowPages<A> = {
    alloc: (type) => ({ type, slab: storage.alloc(pageBytes(layout, type) / elementBytes) }),
    free: (page) => storage.free(page.slab),
    bytes: ({ slab }) => slab.nElements * elementBytes,
    stretchBytes,
    layerStart,
    write(page, layer, which, position, rows, from) {
      const { type } = page;
      const index = which === 0 ? kIndex : vIndex;
      for (let h = 0; h < nKvHeads; h++) {
        const start = layerStart(type, layer, which) + h * stretchBytes(type);
        if (type === 'f32') {
          const view = page.slab.view();
          for (let d = 0; d < headDim; d++) {
            view[start / elementBytes + index(headDim, position, d)] = rows[from + h * headDim + d]!;
          }
        } else {
          for (let d = 0; d < headDim; d++) row[d] = rows[from + h * headDim + d]!;
          packRow(type, which, headDim, row, 0, bytesOf(page), start, position);
        }
      }
    },
    read(page, layer, which, position, rows, to) {
      const { type } = page;
      const index = which === 0 ? kIndex : vIndex;
      for (let h = 0; h < nKvHeads; h++) {
        const start = layerStart(type, layer, which) + h * stretchBytes(type);
        if (type === 'f32') {
          const view = page.slab.view();
          for (let d = 0; d < headDim; d++) {
            rows[to + h * headDim + d] = view[start / elementBytes + index(headDim, position, d)]!;
          }
        } else {
          unpackRow(type, which, headDim, bytesOf(page), start, position, row, 0);
          for (let d = 0; d < headDim; d++) rows[to + h * headDim + d] = row[d]!;
        }
      }
    },
    copy(page, type) {
      const copy = pages.alloc(type);
      if (type === page.type) {
        bytesOf(copy).set(bytesOf(page));
        return copy;
      }
      const rows = newRows<A>(layout, 1);
      for (let layer = 0; layer < nLayers; layer++) {
        for (const which of [0, 1] as const) {
          for (let p = 0; p < PAGE_POSITIONS; p++) {
            pages.read(page, layer, which, p, rows, 0);
            pages.write(copy, layer, which, p, rows, 0);
          }
        }
      }
      return copy;
    },
  };
  return pages;
}
