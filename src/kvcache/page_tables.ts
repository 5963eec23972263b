import { assert, CapacityError, ConfigError } from '../core/errors.ts';
import type { SlidingWindow } from '../ops/visible.ts';
import type { KvCache, KvRun, KvSequence, RowStats } from './cache.ts';
import type { KvLayout } from './layout.ts';
import { checkMaxSeq, checkTruncate, lengthened } from './limits.ts';
import type { KvKind } from './options.ts';
import type { PagePool, Place } from './page_pool.ts';
import { PAGE_POSITIONS } from './row_pages.ts';
import { sequenceRows } from './row_stats.ts';
import { checkLayer, countRows, type KOrV, newRows } from './slab.ts';

type Floats = Float32Array | Float64Array;

/**
 * A page: pageSize positions of all layers, and how many sequences have it.
 *
 *   sequence 0 (37 positions):  page a | page b | page c (5 rows)
 *   sequence 1, its fork:       page a | page b | page c            a, b, c: nUsers 2
 *   sequence 1 after an append: page a | page b | page d (6 rows)   d: c's rows copied, then one more
 *
 * A page that others have too, or that is fixed, is copied before the first write into it.
 *
 * With a window a table loses the pages between the sinks and what the next row sees; who shares them may still have them:
 *
 *   sequence 2, a window of 20:  page a (sinks) | dropped .............. | page e | page f (3 rows)
 *   sequence 3, forked earlier:  page a (sinks) | page b | page c (9 rows)
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
  /** Those that are left. */
  readonly pages: Page<A>[];
  /** How many are missing behind those of the sinks. */
  nDropped: number;
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
  window: SlidingWindow | null = null,
): PageTables<A> {
  checkMaxSeq(maxSeq);
  const { pageSize } = pool;
  const nSinkPages = window === null ? 0 : Math.ceil(window.sinks / pageSize);
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
  const droppedOf = ({ nDropped }: TableOf<A>): number => nDropped * pageSize;
  /** The first position behind the sinks that the row at `position` sees. */
  const startAt = (position: number): number => (window === null ? 0 : Math.max(0, position + 1 - window.size));
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
    pool.copy(placeOf(shared), place, Math.min(pageSize, table.length - droppedOf(table) - index * pageSize));
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
    const isThere = table.nDropped === 0 || from >= (nSinkPages + table.nDropped) * pageSize;
    assert(isThere, `rows ${from}..${from + count} are not dropped`);
    const first = from - droppedOf(table);
    bring(table);
    const shared: number[] = [];
    forEachPart(first, count, (index) => {
      if (!isOwn(table.pages[index]!)) shared.push(index);
    });
    // All or nothing: what can fail comes first.
    const places = takePlaces(shared.length, table.pages);
    for (const [i, index] of shared.entries()) replace(table, index, places[i]!);
    forEachPart(first, count, (index, at, row, n) => {
      pool.put(placeOf(table.pages[index]!), rows, { layer, which, at, row, count: n });
    });
  };

  const read = (sequence: KvSequence, layer: number, which: KOrV): A => {
    const table = tableOf(sequence);
    checkLayer(layout, layer);
    bring(table);
    const nRows = table.length - droppedOf(table);
    const rows = newRows<A>(layout, nRows);
    forEachPart(0, nRows, (index, at, row, count) => {
      pool.get(placeOf(table.pages[index]!), rows, { layer, which, at, row, count });
    });
    return rows;
  };

  /** One run for each stretch of places that lie next to each other; codes in runs of what a kernel unpacks at a time. */
  const findRuns = (table: TableOf<A>, layer: number): KvRun[] => {
    const { pages } = table;
    const nRows = table.length - droppedOf(table);
    const runs: KvRun[] = [];
    for (let first = 0; first < pages.length; ) {
      let end = first + 1;
      while (end < pages.length && areNeighbours(placeOf(pages[end - 1]!), placeOf(pages[end]!))) end++;
      const place = placeOf(pages[first]!);
      const count = Math.min(end * pageSize, nRows) - first * pageSize;
      const most = pool.type === 'f32' ? count : PAGE_POSITIONS;
      for (let at = 0; at < count; at += most) {
        runs.push({
          from: first * pageSize + at,
          count: Math.min(most, count - at),
          rows: pool.type,
          kAddress: pool.addressOf(place, layer, 0, at),
          vAddress: pool.addressOf(place, layer, 1, at),
          headStride: pool.headStride(place),
        });
      }
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
    if (table.nDropped > 0 && length <= nSinkPages * pageSize) {
      for (const page of table.pages.splice(nSinkPages)) drop(page);
      table.nDropped = 0;
    }
    for (const page of table.pages.splice(nPages(length - droppedOf(table)))) drop(page);
    table.length = length;
    table.nNamed = Math.min(table.nNamed, Math.floor(length / pageSize));
    table.runs = [];
  };

  const canTruncate = (sequence: KvSequence, length: number): boolean => {
    const table = tableOf(sequence);
    if (table.nDropped === 0 || length === table.length || length <= nSinkPages * pageSize) return true;
    return (nSinkPages + table.nDropped) * pageSize <= startAt(length);
  };

  /** Pages that are missing, or hold codes; undefined where all rows are there as they were written. */
  const rowStats = (): RowStats | undefined => {
    const { type, pageBytes } = pool;
    if (window === null && type === 'f32') return undefined;
    const sequences = [...tables.values()].map(({ id, length, pages, nDropped }) => {
      const types = pages.map(() => type);
      return sequenceRows(id, length, types, pages.length * pageBytes, { size: pageSize, nSinkPages, nDropped });
    });
    return { window, type, recent: 0, sequences };
  };

  const cache: KvCache<A> = {
    layout,
    maxSeq,
    window,
    codes: pool.type === 'f32' ? null : pool.type,
    create() {
      const sequence = { id: nextId++ };
      const empty = { length: 0, pages: [], nDropped: 0, nNamed: 0, runs: [], movesSeen: keeper.nMoves };
      tables.set(sequence, { id: sequence.id, ...empty });
      return sequence;
    },
    length: (sequence) => tableOf(sequence).length,
    dropped: (sequence) => droppedOf(tableOf(sequence)),
    prepare(sequence, count) {
      const { length } = tableOf(sequence);
      if (window !== null) {
        lengthened(length, count, maxSeq); // pages come and go: all of them are never there together
        return;
      }
      this.reserve(sequence, count);
      this.truncate(sequence, length);
    },
    most: () => Infinity,
    canTruncate,
    reserve(sequence, count) {
      const table = tableOf(sequence);
      const length = lengthened(table.length, count, maxSeq);
      if (count === 0) return;
      const last = table.pages[table.pages.length - 1];
      const mustCopy = table.length % pageSize !== 0 && !isOwn(last!);
      const nNew = nPages(length - droppedOf(table)) - table.pages.length;
      const nDropped = Math.max(table.nDropped, Math.floor(startAt(table.length) / pageSize) - nSinkPages);
      // All or nothing: what can fail comes first.
      bring(table);
      clock++;
      for (const page of table.pages) page.lastUse = clock;
      const places = takePlaces(nNew + (mustCopy ? 1 : 0), table.pages, last?.place);
      if (mustCopy) replace(table, table.pages.length - 1, places.shift()!);
      for (const place of places) table.pages.push(newPage(place));
      for (const page of table.pages.splice(nSinkPages, nDropped - table.nDropped)) drop(page);
      table.nDropped = nDropped;
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
      if (!canTruncate(sequence, length)) {
        throw new ConfigError(
          `kv cache: cannot truncate to ${length} positions: rows that position ${length} sees are dropped; start again from 0`,
        );
      }
      cut(table, length);
    },
    fork(sequence) {
      const { length, pages, nDropped, nNamed } = tableOf(sequence);
      for (const page of pages) page.nUsers++;
      const forked = { id: nextId++ };
      tables.set(forked, { id: forked.id, length, pages: [...pages], nDropped, nNamed, runs: [], movesSeen: -1 });
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
      const rows = rowStats();
      return {
        kind,
        nSequences: tables.size,
        nPositions: [...tables.values()].reduce((n, { length }) => n + length, 0),
        nBytes: pool.nBytes,
        ...(rows !== undefined && { rows }),
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
