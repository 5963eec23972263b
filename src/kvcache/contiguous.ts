import { assert, CapacityError, ConfigError } from '../core/errors.ts';
import type { KvCache, KvSequence, KvSlab, KvStorage } from './cache.ts';
import { type KvLayout, kIndex, roundUpToBlock, vIndex } from './layout.ts';

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
const FIRST_CAPACITY = 256;

export function createContiguousCache<A extends Float32Array | Float64Array>(
  layout: KvLayout,
  maxSeq: number,
  storage: KvStorage<A>,
): KvCache<A> {
  if (!Number.isInteger(maxSeq) || maxSeq < 1) throw new ConfigError(`maxSeq is ${maxSeq}, must be a positive integer`);
  const { nLayers, nKvHeads, headDim, elementBytes } = layout;
  const slots = new Map<KvSequence, Slot<A>>();
  let nextId = 0;

  const slotOf = (sequence: KvSequence): Slot<A> => {
    const slot = slots.get(sequence);
    assert(slot !== undefined, `sequence ${sequence.id} belongs to this cache and is not released`);
    return slot;
  };
  const checkLayer = (layer: number): void => {
    assert(Number.isInteger(layer) && layer >= 0 && layer < nLayers, `layer ${layer} is within 0..${nLayers - 1}`);
  };
  const slabSize = (capacity: number): number => 2 * nLayers * nKvHeads * headDim * capacity;
  /** First element of K (which = 0) or V (1) of a kv head. */
  const headStart = (capacity: number, layer: number, which: 0 | 1, kvHead: number): number =>
    ((layer * 2 + which) * nKvHeads + kvHead) * headDim * capacity;

  /** Copies the used part of every head. Both orders are block after block, so a prefix of positions is a prefix of elements. */
  const copyRows = (from: Slot<A>, to: Slot<A>): void => {
    const source = from.slab.view();
    const target = to.slab.view();
    const used = roundUpToBlock(from.length) * headDim;
    for (let layer = 0; layer < nLayers; layer++) {
      for (const which of [0, 1] as const) {
        for (let h = 0; h < nKvHeads; h++) {
          const at = headStart(from.capacity, layer, which, h);
          target.set(source.subarray(at, at + used) as never, headStart(to.capacity, layer, which, h));
        }
      }
    }
  };

  const newSlot = (capacity: number, length: number): Slot<A> => ({
    slab: storage.alloc(slabSize(capacity)),
    capacity,
    length,
  });

  const write = (sequence: KvSequence, layer: number, which: 0 | 1, from: number, rows: A): void => {
    const slot = slotOf(sequence);
    checkLayer(layer);
    const nRows = rows.length / (nKvHeads * headDim);
    assert(
      Number.isInteger(from) && Number.isInteger(nRows) && from >= 0 && from + nRows <= slot.length,
      `rows ${from}..${from + nRows} are reserved`,
    );
    const index = which === 0 ? kIndex : vIndex;
    const view = slot.slab.view();
    for (let t = 0; t < nRows; t++) {
      for (let h = 0; h < nKvHeads; h++) {
        const start = headStart(slot.capacity, layer, which, h);
        for (let d = 0; d < headDim; d++) {
          view[start + index(headDim, from + t, d)] = rows[(t * nKvHeads + h) * headDim + d]!;
        }
      }
    }
  };

  const read = (sequence: KvSequence, layer: number, which: 0 | 1): A => {
    const slot = slotOf(sequence);
    checkLayer(layer);
    const index = which === 0 ? kIndex : vIndex;
    const view = slot.slab.view();
    const n = slot.length * nKvHeads * headDim;
    const rows = (elementBytes === 4 ? new Float32Array(n) : new Float64Array(n)) as A;
    for (let p = 0; p < slot.length; p++) {
      for (let h = 0; h < nKvHeads; h++) {
        const start = headStart(slot.capacity, layer, which, h);
        for (let d = 0; d < headDim; d++) {
          rows[(p * nKvHeads + h) * headDim + d] = view[start + index(headDim, p, d)]!;
        }
      }
    }
    return rows;
  };

  return {
    layout,
    maxSeq,
    window: null,
    create() {
      const sequence = { id: nextId++ };
      slots.set(sequence, newSlot(roundUpToBlock(Math.min(FIRST_CAPACITY, maxSeq)), 0));
      return sequence;
    },
    length: (sequence) => slotOf(sequence).length,
    dropped: () => 0,
    reserve(sequence, count) {
      const slot = slotOf(sequence);
      if (!Number.isInteger(count) || count < 0) {
        throw new ConfigError(`kv cache: cannot reserve ${count} positions, must be a whole number from 0 on`);
      }
      const length = slot.length + count;
      if (length > maxSeq) {
        throw new CapacityError(
          `kv cache: position ${length - 1} does not fit maxSeq=${maxSeq}; raise --max-seq or shorten the prompt`,
        );
      }
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
      checkLayer(layer);
      if (slot.length === 0) return [];
      return [
        {
          from: 0,
          count: slot.length,
          kAddress: slot.slab.address + headStart(slot.capacity, layer, 0, 0) * elementBytes,
          vAddress: slot.slab.address + headStart(slot.capacity, layer, 1, 0) * elementBytes,
          headStride: headDim * slot.capacity * elementBytes,
        },
      ];
    },
    truncate(sequence, length) {
      const slot = slotOf(sequence);
      if (!Number.isInteger(length) || length < 0 || length > slot.length) {
        throw new ConfigError(`kv cache: cannot truncate to ${length} positions, the sequence has ${slot.length}`);
      }
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
    get bytesInUse() {
      let n = 0;
      for (const slot of slots.values()) n += slot.slab.nElements * elementBytes;
      return n;
    },
  };
}
