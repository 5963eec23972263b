import { assert } from '../core/errors.ts';
import type { KvCache, KvSequence, KvSlab, KvStorage } from './cache.ts';
import { type KvLayout, roundUpToBlock } from './layout.ts';
import { checkMaxSeq, checkTruncate, lengthened } from './limits.ts';
import { checkLayer, countRows, type KOrV, newRows } from './slab.ts';
import { bytesOf, typedRows } from './typed_rows.ts';

/**
 * The definition of a KV cache: each sequence has one slab, which doubles when it is full.
 *
 *   slab: layer 0 | layer 1 | ...          layer: K of all kv heads | V of all kv heads
 *   K (V) of one kv head: capacity x headDim elements, in the order of layout.ts
 *
 * A fork copies. Growing copies too, so a cache that will become long is cheaper when it starts long.
 */
interface Slot<A extends Float32Array | Float64Array> {
  slab: KvSlab<A>;
  capacity: number;
  length: number;
}

/** A fresh sequence has room for this many positions (or maxSeq, when that is less). */
export const FIRST_CAPACITY = 256;

export function createContiguousCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
): KvCache<A> {
  checkMaxSeq(maxSeq);
  const { put, get, elements, headStart, headStarts, rowBytes } = typedRows(layout, 'f32');
  const slots = new Map<KvSequence, Slot<A>>();
  let nextId = 0;

  const slotOf = (sequence: KvSequence): Slot<A> => {
    const slot = slots.get(sequence);
    assert(slot !== undefined, `sequence ${sequence.id} belongs to this cache and is not released`);
    return slot;
  };

  /** Copies the used part of every head. Both orders are block after block, so a prefix of positions is a prefix of elements. */
  const copyRows = (from: Slot<A>, to: Slot<A>): void => {
    const [source, target] = [bytesOf(from.slab.view()), bytesOf(to.slab.view())];
    const used = roundUpToBlock(from.length) * rowBytes;
    const starts = headStarts(to.capacity);
    for (const [head, start] of headStarts(from.capacity).entries()) {
      target.set(source.subarray(start, start + used), starts[head]!);
    }
  };

  const newSlot = (capacity: number, length: number): Slot<A> => ({
    slab: storage.alloc(elements(capacity)),
    capacity,
    length,
  });

  const write = (sequence: KvSequence, layer: number, which: KOrV, from: number, rows: A): void => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const count = countRows(layout, slot.length, from, rows);
    put(slot.slab.view(), slot.capacity, rows, { layer, which, at: from, row: 0, count });
  };

  const read = (sequence: KvSequence, layer: number, which: KOrV): A => {
    const slot = slotOf(sequence);
    checkLayer(layout, layer);
    const rows = newRows<A>(layout, slot.length);
    get(slot.slab.view(), slot.capacity, rows, { layer, which, at: 0, row: 0, count: slot.length });
    return rows;
  };

  return {
    layout,
    maxSeq,
    window: null,
    codes: null,
    create() {
      const sequence = { id: nextId++ };
      slots.set(sequence, newSlot(roundUpToBlock(Math.min(FIRST_CAPACITY, maxSeq)), 0));
      return sequence;
    },
    length: (sequence) => slotOf(sequence).length,
    dropped: () => 0,
    prepare(sequence, count) {
      const { length } = slotOf(sequence);
      this.reserve(sequence, count); // grows once, not with every run
      slotOf(sequence).length = length;
    },
    most: () => Infinity,
    canTruncate: () => true,
    reserve(sequence, count) {
      const slot = slotOf(sequence);
      const length = lengthened(slot.length, count, maxSeq);
      if (length > slot.capacity) {
        const capacity = roundUpToBlock(Math.min(maxSeq, Math.max(length, 2 * slot.capacity)));
        const larger = newSlot(capacity, slot.length);
        copyRows(slot, larger);
        storage.free(slot.slab);
        Object.assign(slot, larger);
      }
      slot.length = length;
    },
    writeK: (sequence, layer, from, k) => write(sequence, layer, 0, from, k),
    writeV: (sequence, layer, from, v) => write(sequence, layer, 1, from, v),
    readK: (sequence, layer) => read(sequence, layer, 0),
    readV: (sequence, layer) => read(sequence, layer, 1),
    runs(sequence, layer) {
      const slot = slotOf(sequence);
      checkLayer(layout, layer);
      if (slot.length === 0) return [];
      return [
        {
          from: 0,
          count: slot.length,
          rows: 'f32',
          kAddress: slot.slab.address + headStart(slot.capacity, layer, 0, 0),
          vAddress: slot.slab.address + headStart(slot.capacity, layer, 1, 0),
          headStride: rowBytes * slot.capacity,
        },
      ];
    },
    truncate(sequence, length) {
      const slot = slotOf(sequence);
      checkTruncate(length, slot.length);
      slot.length = length;
    },
    fork(sequence) {
      const slot = slotOf(sequence);
      const copy = newSlot(slot.capacity, slot.length);
      copyRows(slot, copy);
      const forked = { id: nextId++ };
      slots.set(forked, copy);
      return forked;
    },
    release(sequence) {
      storage.free(slotOf(sequence).slab);
      slots.delete(sequence);
    },
    stats() {
      let nPositions = 0;
      for (const slot of slots.values()) nPositions += slot.length;
      return { kind: 'contiguous', nSequences: slots.size, nPositions, nBytes: this.bytesInUse };
    },
    get bytesInUse() {
      let n = 0;
      for (const slot of slots.values()) n += slot.slab.nElements * layout.elementBytes;
      return n;
    },
  };
}
