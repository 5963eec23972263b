import { assert, ConfigError } from '../core/errors.ts';
import { type Tensor, tensor } from '../core/tensor.ts';
import { attendSums, attendSums64 } from '../ops/attend_sums.ts';
import type { Visible } from '../ops/visible.ts';
import type { KvCache, KvSequence, KvSlab, KvStorage, SequenceRows } from './cache.ts';
import { EVICTED_AT_ONCE, type EvictRule } from './evict_options.ts';
import type { KvLayout } from './layout.ts';
import { checkMaxSeq, checkTruncate, lengthened } from './limits.ts';
import { createRowPages, PAGE_POSITIONS, type RowPage } from './row_pages.ts';
import { checkLayer, countRows, type KOrV, newRows } from './slab.ts';

/** A page of rows, and how much each of them was attended to: f32 [nLayers, nKvHeads, PAGE_POSITIONS]. */
interface SummedPage<A extends Float32Array | Float64Array> extends RowPage<A> {
  readonly sums: KvSlab<A>;
}

interface Slot<A extends Float32Array | Float64Array> {
  pages: SummedPage<A>[];
  /** Of each row that is left. */
  positions: number[];
  length: number;
}

/**
 * The form that forgets what is attended to least: each sequence has at most `budget` rows, in pages shared with no other.
 *
 *   rows      [ first `sinks` positions ] [ those with the largest sums ] [ newest `recent` positions ]
 *   full      the EVICTED_AT_ONCE rows with the smallest sums, of equal ones the older, are given up before the next position
 *   their places are taken by the last rows, so the rows that are left lie one behind the other, not by rising positions
 *
 * A row's sum is over layers and kv heads the sums of attend_sums: every probability that a later row gave it, or it itself. It is full
 * at the same positions however a prompt is cut into runs (`most`), and sums do not depend on runs either. So numbers depend on
 * the ids alone. As long as the budget covers the sequence every bit is that of `contiguous`.
 *
 * What a later row has added to a sum cannot be taken off again, so a sequence is never cut, except to nothing.
 * Where the budget covers maxSeq nothing will be given up, and no sums are kept.
 */
export function createEvictCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
  { budget, sinks, recent }: EvictRule,
): KvCache<A> {
  checkMaxSeq(maxSeq);
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  const width = nKvHeads * headDim;
  const canEvict = budget < maxSeq;
  const rowPages = createRowPages(layout, storage);
  const slots = new Map<KvSequence, Slot<A>>();
  const nSums = canEvict ? nLayers * nKvHeads * PAGE_POSITIONS : 0;
  let nextId = 0;

  const slotOf = (sequence: KvSequence): Slot<A> => {
    const slot = slots.get(sequence);
    assert(slot !== undefined, `sequence ${sequence.id} belongs to this cache and is not released`);
    return slot;
  };
  const pageOf = (slot: Slot<A>, row: number): SummedPage<A> => slot.pages[Math.floor(row / PAGE_POSITIONS)]!;
  const freePage = (page: SummedPage<A>): void => {
    rowPages.free(page);
    if (canEvict) storage.free(page.sums);
  };
  /** make(page) gives a page's rows; when memory ends, everything that was taken is given back. */
  const takePages = (n: number, make: (i: number) => RowPage<A>): SummedPage<A>[] => {
    const made: SummedPage<A>[] = [];
    try {
      for (let i = 0; i < n; i++) {
        const rows = make(i);
        try {
          made.push({ ...rows, sums: canEvict ? storage.alloc(nSums) : rows.slab });
        } catch (e) {
          rowPages.free(rows);
          throw e;
        }
      }
      return made;
    } catch (e) {
      for (const page of made) freePage(page);
      throw e;
    }
  };
  const sumAt = (row: number, layer: number, kvHead: number): number =>
    (layer * nKvHeads + kvHead) * PAGE_POSITIONS + (row % PAGE_POSITIONS);

  /** How much a row was attended to, over all layers and heads. */
  const importanceOf = (slot: Slot<A>, row: number): number => {
    const sums = pageOf(slot, row).sums.view();
    let total = 0;
    for (let layer = 0; layer < nLayers; layer++) {
      for (let h = 0; h < nKvHeads; h++) total += sums[sumAt(row, layer, h)]!;
    }
    return total;
  };

  /** Copies a row of all layers, and its sums. */
  const moveRow = (slot: Slot<A>, from: number, to: number): void => {
    const [source, target] = [pageOf(slot, from), pageOf(slot, to)];
    const row = newRows<A>(layout, 1);
    const [read, write] = [source.sums.view(), target.sums.view()];
    for (let layer = 0; layer < nLayers; layer++) {
      for (const which of [0, 1] as const) {
        rowPages.read(source, layer, which, from % PAGE_POSITIONS, row, 0);
        rowPages.write(target, layer, which, to % PAGE_POSITIONS, row, 0);
      }
      for (let h = 0; h < nKvHeads; h++) write[sumAt(to, layer, h)] = read[sumAt(from, layer, h)]!;
    }
    slot.positions[to] = slot.positions[from]!;
  };

  const evict = (slot: Slot<A>): void => {
    const { positions, length } = slot;
    const rows = positions.map((position, row) => ({ row, position }));
    const free = rows
      .filter(({ position }) => position >= sinks && position < length - recent)
      .map((each) => ({ ...each, importance: importanceOf(slot, each.row) }))
      .sort((a, b) => a.importance - b.importance || a.position - b.position);
    const gone = new Set(free.slice(0, EVICTED_AT_ONCE).map(({ row }) => row));
    const nLeft = positions.length - EVICTED_AT_ONCE;
    const holes = [...gone].filter((row) => row < nLeft).sort((a, b) => a - b);
    for (let from = nLeft, i = 0; from < positions.length; from++)
      if (!gone.has(from)) moveRow(slot, from, holes[i++]!);
    positions.length = nLeft;
  };

  const isFull = ({ positions }: Slot<A>): boolean => canEvict && positions.length === budget;
  const most = (sequence: KvSequence): number => {
    if (!canEvict) return Number.POSITIVE_INFINITY;
    const slot = slotOf(sequence);
    return isFull(slot) ? EVICTED_AT_ONCE : budget - slot.positions.length;
  };

  const write = (sequence: KvSequence, layer: number, which: KOrV, from: number, rows: A): void => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const nRows = countRows(layout, slot.length, from, rows);
    const nDropped = slot.length - slot.positions.length;
    for (let t = 0; t < nRows; t++) {
      const row = from + t - nDropped;
      assert(slot.positions[row] === from + t, `position ${from + t} is row ${row}`);
      rowPages.write(pageOf(slot, row), layer, which, row % PAGE_POSITIONS, rows, t * width);
    }
  };
  const read = (sequence: KvSequence, layer: number, which: KOrV): A => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const nRows = slot.positions.length;
    const rows = newRows<A>(layout, nRows);
    for (let row = 0; row < nRows; row++) {
      rowPages.read(pageOf(slot, row), layer, which, row % PAGE_POSITIONS, rows, row * width);
    }
    return rows;
  };

  /** naive: the sums of one layer out of the pages, and back. */
  const attended = (sequence: KvSequence, layer: number, p: Tensor<A>, visible: Visible): void => {
    const slot = slotOf(sequence);
    const nRows = slot.positions.length;
    const rows = Array.from({ length: nRows }, (_, row) => row);
    const own = newRows<A>({ ...layout, headDim: 1 }, nRows);
    const each = (visit: (sums: A, at: number, i: number) => void): void => {
      for (const row of rows) {
        const sums = pageOf(slot, row).sums.view();
        for (let h = 0; h < nKvHeads; h++) visit(sums, sumAt(row, layer, h), h * nRows + row);
      }
    };
    each((sums, at, i) => {
      own[i] = sums[at]!;
    });
    const all = tensor([nKvHeads, nRows], own);
    if (own instanceof Float64Array) attendSums64(all as Tensor<Float64Array>, p as Tensor<Float64Array>, visible);
    else attendSums(all as Tensor<Float32Array>, p as Tensor<Float32Array>, visible);
    each((sums, at, i) => {
      sums[at] = own[i]!;
    });
  };

  const canTruncate = (sequence: KvSequence, length: number): boolean =>
    !canEvict || length === 0 || length === slotOf(sequence).length;

  return {
    layout,
    maxSeq,
    window: null,
    codes: null,
    ...(canEvict && { attended }),
    create() {
      const sequence = { id: nextId++ };
      slots.set(sequence, { pages: [], positions: [], length: 0 });
      return sequence;
    },
    length: (sequence) => slotOf(sequence).length,
    dropped: (sequence) => slotOf(sequence).length - slotOf(sequence).positions.length,
    prepare: (sequence, count) => void lengthened(slotOf(sequence).length, count, maxSeq),
    most,
    reserve(sequence, count) {
      const slot = slotOf(sequence);
      const longer = lengthened(slot.length, count, maxSeq);
      if (count > most(sequence)) {
        throw new ConfigError(
          `kv cache: ${count} positions at once are more than ${most(sequence)}, where rows are given up`,
        );
      }
      if (count > 0 && isFull(slot)) evict(slot);
      const nRows = slot.positions.length + count;
      // A sequence that was full has the pages that it needs.
      const nMissing = Math.ceil(nRows / PAGE_POSITIONS) - slot.pages.length;
      slot.pages.push(...takePages(Math.max(0, nMissing), () => rowPages.alloc('f32')));
      for (let position = slot.length; position < longer; position++) {
        const row = slot.positions.push(position) - 1;
        if (!canEvict) continue;
        const sums = pageOf(slot, row).sums.view();
        for (let layer = 0; layer < nLayers; layer++) {
          for (let h = 0; h < nKvHeads; h++) sums[sumAt(row, layer, h)] = 0;
        }
      }
      slot.length = longer;
    },
    writeK: (sequence, layer, from, k) => write(sequence, layer, 0, from, k),
    writeV: (sequence, layer, from, v) => write(sequence, layer, 1, from, v),
    readK: (sequence, layer) => read(sequence, layer, 0),
    readV: (sequence, layer) => read(sequence, layer, 1),
    runs(sequence, layer) {
      const slot = slotOf(sequence);
      checkLayer(layout, layer);
      const nRows = slot.positions.length;
      return slot.pages.slice(0, Math.ceil(nRows / PAGE_POSITIONS)).map(({ slab, sums }, i) => ({
        from: i * PAGE_POSITIONS,
        count: Math.min(PAGE_POSITIONS, nRows - i * PAGE_POSITIONS),
        rows: 'f32' as const,
        kAddress: slab.address + rowPages.layerStart('f32', layer, 0),
        vAddress: slab.address + rowPages.layerStart('f32', layer, 1),
        headStride: rowPages.stretchBytes('f32'),
        ...(canEvict && { sums: sums.address + layer * nKvHeads * PAGE_POSITIONS * elementBytes }),
      }));
    },
    canTruncate,
    truncate(sequence, length) {
      const slot = slotOf(sequence);
      checkTruncate(length, slot.length);
      if (!canTruncate(sequence, length)) {
        throw new ConfigError(
          `kv cache: cannot truncate to ${length} positions: what later rows have added to sums stays; start again from 0`,
        );
      }
      if (length === slot.length) return;
      slot.positions.length = length; // nothing was given up: row and position are the same
      slot.length = length;
      for (const page of slot.pages.splice(Math.ceil(length / PAGE_POSITIONS))) freePage(page);
    },
    fork(sequence) {
      const { pages, positions, length } = slotOf(sequence);
      const copies = takePages(pages.length, (i) => rowPages.copy(pages[i]!, 'f32'));
      if (canEvict) copies.forEach(({ sums }, i) => void sums.view().set(pages[i]!.sums.view()));
      const forked = { id: nextId++ };
      slots.set(forked, { pages: copies, positions: [...positions], length });
      return forked;
    },
    release(sequence) {
      for (const page of slotOf(sequence).pages) freePage(page);
      slots.delete(sequence);
    },
    stats() {
      const nPositions = [...slots.values()].reduce((n, { length }) => n + length, 0);
      const sequences = [...slots].map(([{ id }, { length, pages, positions }]) => ({
        sequence: id,
        length,
        nPages: pages.length,
        nBytes: pages.length * evictPageBytes(layout, canEvict),
        kept: stretchesOf(positions),
      }));
      const rows = {
        window: null,
        type: 'f32' as const,
        recent: 0,
        budget: { most: budget, sinks, newest: recent },
        sequences,
      };
      return { kind: 'evict', nSequences: slots.size, nPositions, nBytes: this.bytesInUse, rows };
    },
    get bytesInUse() {
      const nPages = [...slots.values()].reduce((n, { pages }) => n + pages.length, 0);
      return nPages * evictPageBytes(layout, canEvict);
    },
  };
}

/** [5, 0, 1] -> 0..2, 5..6. */
function stretchesOf(positions: readonly number[]): SequenceRows['kept'] {
  const stretches: { from: number; until: number; type: 'f32' }[] = [];
  for (const position of [...positions].sort((a, b) => a - b)) {
    const last = stretches.at(-1);
    if (last?.until === position) last.until++;
    else stretches.push({ from: position, until: position + 1, type: 'f32' });
  }
  return stretches;
}

/** Bytes of a page of 64 rows and, where rows can be given up, their sums. */
export function evictPageBytes(layout: KvLayout, canEvict: boolean): number {
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  const nSums = canEvict ? nLayers * nKvHeads * PAGE_POSITIONS : 0;
  return (2 * nLayers * nKvHeads * PAGE_POSITIONS * headDim + nSums) * elementBytes;
}
