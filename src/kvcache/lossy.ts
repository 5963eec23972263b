import { assert, ConfigError } from '../core/errors.ts';
import type { KvCache, KvSequence, KvStorage } from './cache.ts';
import { checkCoded, type KvType } from './coded_rows.ts';
import type { KvLayout } from './layout.ts';
import { checkMaxSeq, checkTruncate, lengthened } from './limits.ts';
import type { Losses } from './lossy_options.ts';
import { createRowPages, PAGE_POSITIONS, type RowPage } from './row_pages.ts';
import { sequenceRows } from './row_stats.ts';
import { checkLayer, countRows, type KOrV, newRows } from './slab.ts';

interface Slot<A extends Float32Array | Float64Array> {
  /** The pages that are left, by rising positions. */
  pages: RowPage<A>[];
  /** How many are missing behind those of the sinks. */
  nDropped: number;
  length: number;
}

/**
 * The forms that change numbers: each sequence is a list of pages, shared with no other.
 *
 *   window    [ sinks ] [ dropped ... ] [ page ] [ page ] [ newest ]      pages between sinks and window are freed
 *   rounded   [ q8_0 ] [ q8_0 ] [ q8_0 ] [ f32 ] [ f32 ]                  only cold pages, or all of them
 *
 * A page is cold once the sequence reaches the position `recent` behind its end: before that position is computed, its rows are
 * rounded. With recent = 0 rows are rounded when they are written.
 *
 * As long as the window and `recent` cover the whole sequence, every bit is that of `contiguous`. Beyond them a row's bits
 * depend on its position, and not on runs, forks and truncations: what cannot be had again is never cut off (canTruncate).
 */
export function createLossyCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  { window, type, recent }: Losses,
): KvCache<A> {
  checkMaxSeq(maxSeq);
  if (type !== 'f32') checkCoded(type, layout.headDim);
  const width = layout.nKvHeads * layout.headDim;
  const pages = createRowPages(layout, storage);
  const slots = new Map<KvSequence, Slot<A>>();
  const hotType: KvType = recent === 0 ? type : 'f32';
  const nSinkPages = window === null ? 0 : Math.ceil(window.sinks / PAGE_POSITIONS);
  let nextId = 0;

  const slotOf = (sequence: KvSequence): Slot<A> => {
    const slot = slots.get(sequence);
    assert(slot !== undefined, `sequence ${sequence.id} belongs to this cache and is not released`);
    return slot;
  };
  const droppedOf = (slot: Slot<A>): number => slot.nDropped * PAGE_POSITIONS;
  const pagesFor = (length: number): number => Math.ceil(length / PAGE_POSITIONS);
  /** The first position behind the sinks that the row at `position` sees. */
  const startAt = (position: number): number => (window === null ? 0 : Math.max(0, position + 1 - window.size));
  /** Pages from the first on that are cold when `position` is computed. */
  const coldAt = (position: number): number =>
    type === hotType ? 0 : Math.max(0, Math.floor((position - recent) / PAGE_POSITIONS));

  /** Runs `make` with an alloc of its own: when it throws, everything that was allocated is given back. */
  const allOrNothing = <T>(make: (keep: (page: RowPage<A>) => RowPage<A>) => T): T => {
    const made: RowPage<A>[] = [];
    try {
      return make((page) => {
        made.push(page);
        return page;
      });
    } catch (e) {
      for (const page of made) pages.free(page);
      throw e;
    }
  };

  const write = (sequence: KvSequence, layer: number, which: KOrV, from: number, rows: A): void => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const nRows = countRows(layout, slot.length, from, rows);
    const first = slot.nDropped === 0 ? 0 : (slot.nDropped + nSinkPages) * PAGE_POSITIONS;
    assert(from >= first, `rows ${from}..${from + nRows} are not dropped`);
    for (let t = 0; t < nRows; t++) {
      const row = from + t - droppedOf(slot);
      pages.write(slot.pages[Math.floor(row / PAGE_POSITIONS)]!, layer, which, row % PAGE_POSITIONS, rows, t * width);
    }
  };

  const read = (sequence: KvSequence, layer: number, which: KOrV): A => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const nRows = slot.length - droppedOf(slot);
    const rows = newRows<A>(layout, nRows);
    for (let row = 0; row < nRows; row++) {
      pages.read(slot.pages[Math.floor(row / PAGE_POSITIONS)]!, layer, which, row % PAGE_POSITIONS, rows, row * width);
    }
    return rows;
  };

  const most = (sequence: KvSequence): number => {
    const { length } = slotOf(sequence);
    return type === hotType ? Infinity : (coldAt(length) + 1) * PAGE_POSITIONS + recent - length;
  };

  const canTruncate = (sequence: KvSequence, length: number): boolean => {
    const slot = slotOf(sequence);
    if (length === slot.length) return true;
    const dropEnd = (nSinkPages + slot.nDropped) * PAGE_POSITIONS;
    if (slot.nDropped > 0 && length > nSinkPages * PAGE_POSITIONS && dropEnd > startAt(length)) return false;
    // Rounded pages that would be recent again.
    const nCold = slot.pages.filter((page) => page.type !== hotType).length;
    const lastCold = nCold <= nSinkPages ? nCold : nCold + slot.nDropped;
    return type === hotType || Math.min(lastCold, pagesFor(length)) <= coldAt(length);
  };

  return {
    layout,
    maxSeq,
    window,
    codes: type === 'f32' ? null : type,
    create() {
      const sequence = { id: nextId++ };
      slots.set(sequence, { pages: [], nDropped: 0, length: 0 });
      return sequence;
    },
    length: (sequence) => slotOf(sequence).length,
    dropped: (sequence) => droppedOf(slotOf(sequence)),
    prepare: (sequence, count) => void lengthened(slotOf(sequence).length, count, maxSeq),
    most,
    reserve(sequence, count) {
      const slot = slotOf(sequence);
      const { length } = slot;
      const longer = lengthened(length, count, maxSeq);
      if (count > most(sequence)) {
        throw new ConfigError(
          `kv cache: ${count} positions at once are more than ${most(sequence)}, where a page turns cold`,
        );
      }
      const nDropped = Math.max(slot.nDropped, Math.floor(startAt(length) / PAGE_POSITIONS) - nSinkPages);
      const newlyDropped = slot.pages.slice(nSinkPages, nSinkPages + nDropped - slot.nDropped);
      const nCold = coldAt(length);
      const replaced: RowPage<A>[] = [];
      slot.pages = allOrNothing((keep) => {
        const left = slot.pages.filter((page) => !newlyDropped.includes(page));
        left.forEach((page, i) => {
          const number = i < nSinkPages ? i : i + nDropped;
          if (number >= nCold || page.type === type) return;
          left[i] = keep(pages.copy(page, type));
          replaced.push(page);
        });
        while (left.length + nDropped < pagesFor(longer)) left.push(keep(pages.alloc(hotType)));
        return left;
      });
      for (const page of [...newlyDropped, ...replaced]) pages.free(page);
      slot.nDropped = nDropped;
      slot.length = longer;
    },
    writeK: (sequence, layer, from, k) => write(sequence, layer, 0, from, k),
    writeV: (sequence, layer, from, v) => write(sequence, layer, 1, from, v),
    readK: (sequence, layer) => read(sequence, layer, 0),
    readV: (sequence, layer) => read(sequence, layer, 1),
    runs(sequence, layer) {
      const slot = slotOf(sequence);
      checkLayer(layout, layer);
      const nRows = slot.length - droppedOf(slot);
      return slot.pages.slice(0, pagesFor(nRows)).map(({ slab, type: rows }, i) => ({
        from: i * PAGE_POSITIONS,
        count: Math.min(PAGE_POSITIONS, nRows - i * PAGE_POSITIONS),
        rows,
        kAddress: slab.address + pages.layerStart(rows, layer, 0),
        vAddress: slab.address + pages.layerStart(rows, layer, 1),
        headStride: pages.stretchBytes(rows),
      }));
    },
    canTruncate,
    truncate(sequence, length) {
      const slot = slotOf(sequence);
      checkTruncate(length, slot.length);
      if (!canTruncate(sequence, length)) {
        throw new ConfigError(
          `kv cache: cannot truncate to ${length} positions: rows that position ${length} sees are dropped or rounded; start again from 0`,
        );
      }
      if (slot.nDropped > 0 && length <= nSinkPages * PAGE_POSITIONS) {
        for (const page of slot.pages.splice(nSinkPages)) pages.free(page);
        slot.nDropped = 0;
      }
      for (const page of slot.pages.splice(pagesFor(length - droppedOf(slot)))) pages.free(page);
      slot.length = length;
    },
    fork(sequence) {
      const slot = slotOf(sequence);
      const copies = allOrNothing((keep) => slot.pages.map((page) => keep(pages.copy(page, page.type))));
      const forked = { id: nextId++ };
      slots.set(forked, { ...slot, pages: copies });
      return forked;
    },
    release(sequence) {
      for (const page of slotOf(sequence).pages) pages.free(page);
      slots.delete(sequence);
    },
    stats() {
      const nPositions = [...slots.values()].reduce((n, { length }) => n + length, 0);
      const sequences = [...slots].map(([{ id }, { pages: left, nDropped, length }]) => {
        const nBytes = left.reduce((n, page) => n + pages.bytes(page), 0);
        const types = left.map((page) => page.type);
        return sequenceRows(id, length, types, nBytes, { size: PAGE_POSITIONS, nSinkPages, nDropped });
      });
      const rows = { window, type, recent, sequences };
      return { kind: 'lossy', nSequences: slots.size, nPositions, nBytes: this.bytesInUse, rows };
    },
    get bytesInUse() {
      let n = 0;
      for (const slot of slots.values()) for (const page of slot.pages) n += pages.bytes(page);
      return n;
    },
  };
}
