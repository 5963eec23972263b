import type { KvSlab, KvStorage } from './cache.ts';
import type { KvType } from './coded_rows.ts';
import type { KvLayout } from './layout.ts';
import { type KOrV, newRows, type RowRange } from './slab.ts';
import { bytesOf, type TypedRows, typedPositionBytes, typedRows } from './typed_rows.ts';

type Floats = Float32Array | Float64Array;

/**
 * A page: the rows of PAGE_POSITIONS consecutive positions, of all layers, in one slab and one type.
 *
 *   slab: layer 0 | layer 1 | ...     layer: K of all kv heads | V of all kv heads     a kv head: one stretch, as typed_rows.ts has it
 */
export interface RowPage<A extends Floats> {
  readonly slab: KvSlab<A>;
  readonly type: KvType;
}

/** Four blocks: a page that is coded is unpacked as a whole when it is read, and should stay in a first-level cache. */
export const PAGE_POSITIONS = 64;

/** Bytes of a page. */
export function pageBytes(layout: KvLayout, type: KvType): number {
  return PAGE_POSITIONS * typedPositionBytes(layout, type);
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
  const formats = new Map<KvType, TypedRows>();
  const formatOf = (type: KvType): TypedRows => {
    const format = formats.get(type) ?? typedRows(layout, type);
    formats.set(type, format);
    return format;
  };
  const rangeOf = (layer: number, which: KOrV, at: number, from: number): RowRange => ({
    ...{ layer, which, at, count: 1 },
    row: from / (nKvHeads * headDim),
  });

  const pages: RowPages<A> = {
    alloc: (type) => ({ type, slab: storage.alloc(formatOf(type).elements(PAGE_POSITIONS)) }),
    free: (page) => storage.free(page.slab),
    bytes: ({ slab }) => slab.nElements * elementBytes,
    stretchBytes: (type) => formatOf(type).rowBytes * PAGE_POSITIONS,
    layerStart: (type, layer, which) => formatOf(type).headStart(PAGE_POSITIONS, layer, which, 0),
    write({ slab, type }, layer, which, position, rows, from) {
      formatOf(type).put(slab.view(), PAGE_POSITIONS, rows, rangeOf(layer, which, position, from));
    },
    read({ slab, type }, layer, which, position, rows, to) {
      formatOf(type).get(slab.view(), PAGE_POSITIONS, rows, rangeOf(layer, which, position, to));
    },
    copy(page, type) {
      const copy = pages.alloc(type);
      if (type === page.type) {
        bytesOf(copy.slab.view()).set(bytesOf(page.slab.view()));
        return copy;
      }
      const rows = newRows<A>(layout, PAGE_POSITIONS);
      for (let layer = 0; layer < nLayers; layer++) {
        for (const which of [0, 1] as const) {
          const all = { layer, which, at: 0, row: 0, count: PAGE_POSITIONS };
          formatOf(page.type).get(page.slab.view(), PAGE_POSITIONS, rows, all);
          formatOf(type).put(copy.slab.view(), PAGE_POSITIONS, rows, all);
        }
      }
      return copy;
    },
  };
  return pages;
}
