import { assert, CapacityError } from '../core/errors.ts';
import type { KvCache, KvRun, KvSequence } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { checkMaxSeq, checkTruncate, lengthened } from './limits.ts';
import type { KvKind } from './options.ts';
import { type PagePool, type Place, placeAddress } from './page_pool.ts';
import { checkLayer, countRows, getRows, type KOrV, newRows, putRows } from './slab.ts';

type Floats = Float32Array | Float64Array;

/**
 * A page: pageSize positions of all layers, and how many sequences have it.
 *
 *   sequence 0 (37 positions):  page a | page b | page c (5 rows)
 *   sequence 1, its fork:       page a | page b | page c            a, b, c: nUsers 2
 *   sequence 1 after an append: page a | page b | page d (6 rows)   d: c's rows copied, then one more
 *
 * A page that others have too, or that is fixed, is copied before the first write into it.
 */
export interface Page<A extends Floats> {
  /** undefined while it is not in memory. */
  place: Place<A> | undefined;
  /** Counts uses of the whole cache. */
  lastUse: number;
  /** Sequences that have it in their tables. */
  nUsers: number;
  /** Its rows must stay as they are, whoever has it. */
  isFixed: boolean;
}

/** A sequence's pages, of positions 0 .. length-1; the last one may be half full. */
export interface TableOf<A extends Floats> {
  readonly id: number;
  length: number;
  readonly pages: Page<A>[];
  /** The first pages, whose ids have been published since they were written. */
  nNamed: number;
  /** By layer; emptied when pages or length change. */
  runs: (KvRun[] | undefined)[];
  /** keeper.nMoves when all its pages were last known to be in memory. */
  movesSeen: number;
}

/** What the forms built on pages decide for themselves. */
export interface PageKeeper<A extends Floats> {
  /** Asked when the last sequence gives a page up: true keeps it (somebody may want it again), false frees it. */
  keeps(page: Page<A>): boolean;
  /** Asked when n more places are needed and not there: frees some, but not those of `needed`. False when it cannot. */
  makeRoom(n: number, needed: readonly Page<A>[]): boolean;
  /** How often pages have left memory: runs found before are void then. */
  readonly nMoves: number;
  /** Puts a page that is not in memory into a place. Throws FormatError when it cannot be read. */
  bringBack?(page: Page<A>, place: Place<A>): void;
  /** A page that is not in memory, and that no sequence has any more: nobody wants it. */
  forget?(page: Page<A>): void;
}

export interface PageTables<A extends Floats> {
  readonly cache: KvCache<A>;
  readonly pool: PagePool<A>;
  tableOf(sequence: KvSequence): TableOf<A>;
  tables(): Iterable<TableOf<A>>;
  /** Puts all pages of a table into memory. Throws CapacityError, FormatError. */
  bring(table: TableOf<A>): void;
  /** Gives a page up for one sequence: frees it when nobody has it and nobody keeps it. */
  drop(page: Page<A>): void;
}

export function createPageTables<A extends Floats>(
  layout: KvLayout,
  maxSeq: number,
  pool: PagePool<A>,
  kind: KvKind,
  keeper: PageKeeper<A>,
): PageTables<A> {
  checkMaxSeq(maxSeq);
  const { pageSize } = pool;
  const tables = new Map<KvSequence, TableOf<A>>();
  let nextId = 0;
  let nCopied = 0;
  let clock = 0;

  const tableOf = (sequence: KvSequence): TableOf<A> => {
    const table = tables.get(sequence);
    assert(table !== undefined, `sequence ${sequence.id} belongs to this cache and is not released`);
    return table;
  };
  const nPages = (length: number): number => Math.ceil(length / pageSize);
  const isOwn = (page: Page<A>): boolean => page.nUsers === 1 && !page.isFixed;

  /** n places, after what is kept has made room if it must. Throws CapacityError. */
  const takePlaces = (n: number, needed: readonly Page<A>[], behind?: Place<A>): Place<A>[] => {
    for (;;) {
      try {
        return pool.take(n, behind);
      } catch (e) {
        if (!(e instanceof CapacityError) || !keeper.makeRoom(n, needed)) throw e;
      }
    }
  };

  const drop = (page: Page<A>): void => {
    page.nUsers--;
    if (page.nUsers > 0 || keeper.keeps(page)) return;
    if (page.place !== undefined) pool.give(page.place);
    keeper.forget?.(page);
  };
  const newPage = (place: Place<A>): Page<A> => ({ place, lastUse: clock, nUsers: 1, isFixed: false });

  const bring = (table: TableOf<A>): void => {
    if (table.movesSeen === keeper.nMoves) return;
    table.runs = [];
    // One after the other: each that comes back may free the slot in the file that the next one's predecessor needs.
    let before: Place<A> | undefined;
    for (const page of table.pages) {
      if (page.place === undefined) {
        const [place] = takePlaces(1, table.pages, before) as [Place<A>];
        try {
          keeper.bringBack!(page, place);
        } catch (e) {
          pool.give(place);
          throw e;
        }
      }
      before = page.place;
    }
    table.movesSeen = keeper.nMoves;
  };
  /** Its place, after `bring`. */
  const placeOf = ({ place }: Page<A>): Place<A> => {
    assert(place !== undefined, 'the pages of a table that is used are in memory');
    return place;
  };

  /** Puts a page of this sequence alone, with the same rows, in the place of one that others have too. */
  const replace = (table: TableOf<A>, index: number, place: Place<A>): void => {
    const shared = table.pages[index]!;
    pool.copy(placeOf(shared), place, Math.min(pageSize, table.length - index * pageSize));
    table.pages[index] = newPage(place);
    table.nNamed = Math.min(table.nNamed, index);
    drop(shared);
    table.runs = [];
    nCopied++;
  };

  /** Calls `visit` for the part of rows from .. from + count - 1 that lies in each page. */
  const forEachPart = (
    from: number,
    count: number,
    visit: (index: number, at: number, row: number, n: number) => void,
  ) => {
    for (let row = 0; row < count; ) {
      const index = Math.floor((from + row) / pageSize);
      const offset = (from + row) % pageSize;
      const n = Math.min(pageSize - offset, count - row);
      visit(index, offset, row, n);
      row += n;
    }
  };

  const write = (sequence: KvSequence, layer: number, which: KOrV, from: number, rows: A): void => {
    const table = tableOf(sequence);
    checkLayer(layout, layer);
    const count = countRows(layout, table.length, from, rows);
    bring(table);
    const shared: number[] = [];
    forEachPart(from, count, (index) => {
      if (!isOwn(table.pages[index]!)) shared.push(index);
    });
    // All or nothing: what can fail comes first.
    const places = takePlaces(shared.length, table.pages);
    for (const [i, index] of shared.entries()) replace(table, index, places[i]!);
    forEachPart(from, count, (index, offset, row, n) => {
      const { chunk, index: at } = placeOf(table.pages[index]!);
      const range = { layer, which, at: at * pageSize + offset, row, count: n };
      putRows(chunk.slab.view(), layout, chunk.capacity, rows, range);
    });
  };

  const read = (sequence: KvSequence, layer: number, which: KOrV): A => {
    const table = tableOf(sequence);
    const { length, pages } = table;
    checkLayer(layout, layer);
    bring(table);
    const rows = newRows<A>(layout, length);
    forEachPart(0, length, (index, offset, row, count) => {
      const { chunk, index: at } = placeOf(pages[index]!);
      getRows(chunk.slab.view(), layout, chunk.capacity, rows, {
        layer,
        which,
        at: at * pageSize + offset,
        row,
        count,
      });
    });
    return rows;
  };

  /** One run for each stretch of places that lie next to each other. */
  const findRuns = ({ pages, length }: TableOf<A>, layer: number): KvRun[] => {
    const runs: KvRun[] = [];
    for (let first = 0; first < pages.length; ) {
      let end = first + 1;
      while (end < pages.length && areNeighbours(placeOf(pages[end - 1]!), placeOf(pages[end]!))) end++;
      const place = placeOf(pages[first]!);
      runs.push({
        from: first * pageSize,
        count: Math.min(end * pageSize, length) - first * pageSize,
        rows: 'f32',
        kAddress: placeAddress(layout, pageSize, place, layer, 0),
        vAddress: placeAddress(layout, pageSize, place, layer, 1),
        headStride: layout.headDim * place.chunk.capacity * layout.elementBytes,
      });
      first = end;
    }
    return runs;
  };

  const runsOf = (table: TableOf<A>, layer: number): KvRun[] => {
    bring(table);
    let runs = table.runs[layer];
    if (runs === undefined) {
      runs = findRuns(table, layer);
      table.runs[layer] = runs;
    }
    return runs;
  };

  const cut = (table: TableOf<A>, length: number): void => {
    for (const page of table.pages.splice(nPages(length))) drop(page);
    table.length = length;
    table.nNamed = Math.min(table.nNamed, Math.floor(length / pageSize));
    table.runs = [];
  };

  const cache: KvCache<A> = {
    layout,
    maxSeq,
    window: null,
    codes: null,
    create() {
      const sequence = { id: nextId++ };
      tables.set(sequence, { id: sequence.id, length: 0, pages: [], nNamed: 0, runs: [], movesSeen: keeper.nMoves });
      return sequence;
    },
    length: (sequence) => tableOf(sequence).length,
    dropped: () => 0,
    prepare(sequence, count) {
      const { length } = tableOf(sequence);
      this.reserve(sequence, count);
      this.truncate(sequence, length);
    },
    most: () => Infinity,
    canTruncate: () => true,
    reserve(sequence, count) {
      const table = tableOf(sequence);
      const length = lengthened(table.length, count, maxSeq);
      if (count === 0) return;
      const last = table.pages[table.pages.length - 1];
      const mustCopy = table.length % pageSize !== 0 && !isOwn(last!);
      const nNew = nPages(length) - table.pages.length;
      // All or nothing: what can fail comes first.
      bring(table);
      clock++;
      for (const page of table.pages) page.lastUse = clock;
      const places = takePlaces(nNew + (mustCopy ? 1 : 0), table.pages, last?.place);
      if (mustCopy) replace(table, table.pages.length - 1, places.shift()!);
      for (const place of places) table.pages.push(newPage(place));
      table.movesSeen = keeper.nMoves;
      table.length = length;
      table.runs = [];
    },
    writeK: (sequence, layer, from, k) => write(sequence, layer, 0, from, k),
    writeV: (sequence, layer, from, v) => write(sequence, layer, 1, from, v),
    readK: (sequence, layer) => read(sequence, layer, 0),
    readV: (sequence, layer) => read(sequence, layer, 1),
    runs(sequence, layer) {
      const table = tableOf(sequence);
      checkLayer(layout, layer);
      return runsOf(table, layer);
    },
    truncate(sequence, length) {
      const table = tableOf(sequence);
      checkTruncate(length, table.length);
      cut(table, length);
    },
    fork(sequence) {
      const { length, pages, nNamed } = tableOf(sequence);
      for (const page of pages) page.nUsers++;
      const forked = { id: nextId++ };
      tables.set(forked, { id: forked.id, length, pages: [...pages], nNamed, runs: [], movesSeen: -1 });
      return forked;
    },
    release(sequence) {
      cut(tableOf(sequence), 0);
      tables.delete(sequence);
      // Not in truncate: rows that are taken back are usually run again at once.
      pool.trim();
    },
    stats() {
      const used = new Set<Page<A>>();
      for (const { pages } of tables.values()) for (const page of pages) used.add(page);
      const inMemory = [...used].filter((page) => page.place !== undefined);
      return {
        kind,
        nSequences: tables.size,
        nPositions: [...tables.values()].reduce((n, { length }) => n + length, 0),
        nBytes: pool.nBytes,
        pages: {
          size: pageSize,
          nUsed: inMemory.length,
          nShared: inMemory.filter((page) => page.nUsers > 1).length,
          nFree: pool.nHeld - pool.nTaken,
          nKept: 0,
          nMost: pool.nMost,
          nCopied,
          tables: [...tables.values()].map((table) => ({
            sequence: table.id,
            length: table.length,
            pages: table.pages.map(({ place }) => place?.number ?? -1),
            nRuns: countRuns(table.pages),
          })),
        },
      };
    },
    get bytesInUse() {
      return pool.nBytes;
    },
  };
  return { cache, pool, tableOf, tables: () => tables.values(), bring, drop };
}

/** Stretches of a table, without bringing anything into memory. */
function countRuns<A extends Floats>(pages: readonly Page<A>[]): number {
  let n = 0;
  let before: Place<A> | undefined;
  for (const { place } of pages) {
    if (place !== undefined && !(before !== undefined && areNeighbours(before, place))) n++;
    before = place;
  }
  return n;
}

function areNeighbours<A extends Floats>(a: Place<A>, b: Place<A>): boolean {
  return a.chunk === b.chunk && b.index === a.index + 1;
}
