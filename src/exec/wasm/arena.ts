import { assert, CapacityError } from '../../core/errors.ts';
import { VECTOR_BYTES } from './layout.ts';

/** WASM memory grows by pages; 65,536 of them are the 4 GiB that a 32-bit address reaches. */
const PAGE_BYTES = 2 ** 16;
const MAX_PAGES = 2 ** 16;
export const MAX_MEMORY_BYTES = MAX_PAGES * PAGE_BYTES;
/** Memory grows by at least this much at a time: every growth detaches all views. */
const GROW_BYTES = 2 ** 24;

/**
 * The one owner of the memory that kernels work in: weights, cache and scratch are allocated here, and freed in any order.
 *
 * Growing detaches every view of the memory, so views are taken for each use and never kept over an `alloc` or an `await`.
 */
export interface Arena {
  readonly memory: WebAssembly.Memory;
  /**
   * Byte address of nBytes bytes, which may hold anything. align: a power of two; at least 16 is given.
   * Throws CapacityError when 4 GiB, or what the host has, would be passed.
   */
  alloc(nBytes: number, align?: number): number;
  /** Takes back what `alloc` gave at this address. */
  free(address: number): void;
  /**
   * Grows the memory at once to what arrays of nBytes in all will need; pages that are never written cost nothing.
   * Throws CapacityError when they can never fit, or the host refuses: before a model is read, not in the middle of it.
   */
  reserve(nBytes: number): void;
  /** Views of n elements at an address. */
  f32(address: number, n: number): Float32Array;
  i32(address: number, n: number): Int32Array;
  bytes(address: number, n: number): Uint8Array;
  /** Bytes that are allocated now. */
  readonly bytesInUse: number;
  readonly isDisposed: boolean;
  /** Ends the use of this memory: nothing can be allocated or viewed any more. It goes once the kernels are dropped too. */
  dispose(): void;
}

/** A memory of one page that may grow to 4 GiB. */
export function createMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES });
}

/** The same for several threads. Throws where the host has no shared memory, or not so much room for it. */
export function createSharedMemory(): WebAssembly.Memory {
  return new WebAssembly.Memory({ initial: 1, maximum: MAX_PAGES, shared: true });
}

interface Hole {
  address: number;
  size: number;
}

/**
 * An arena over `memory` from byte `start` on; below it are the constants of the kernel modules.
 * First fit over holes in order of address; neighbouring holes are joined when something is freed.
 * maxBytes: for hosts (and tests) with less room than WASM's 4 GiB.
 */
export function createArena(memory: WebAssembly.Memory, start: number, maxBytes: number = MAX_MEMORY_BYTES): Arena {
  const holes: Hole[] = [];
  const sizes = new Map<number, number>();
  let bytesInUse = 0;
  let isDisposed = false;
  let end = memory.buffer.byteLength;
  const first = roundUp(start, VECTOR_BYTES);
  if (end > first) holes.push({ address: first, size: end - first });

  /** Index of the first hole at or after an address. */
  const indexFrom = (address: number): number => {
    let low = 0;
    let high = holes.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (holes[middle]!.address < address) low = middle + 1;
      else high = middle;
    }
    return low;
  };

  const addHole = (address: number, size: number): void => {
    const i = indexFrom(address);
    const before = holes[i - 1];
    const after = holes[i];
    const joinsBefore = before !== undefined && before.address + before.size === address;
    const joinsAfter = after !== undefined && address + size === after.address;
    if (joinsBefore) {
      before.size += size + (joinsAfter ? after.size : 0);
      if (joinsAfter) holes.splice(i, 1);
    } else if (joinsAfter) {
      after.address = address;
      after.size += size;
    } else {
      holes.splice(i, 0, { address, size });
    }
  };

  /** Takes `size` bytes out of the first hole that has them, or gives -1. */
  const take = (size: number, align: number): number => {
    for (let i = 0; i < holes.length; i++) {
      const hole = holes[i]!;
      const address = roundUp(hole.address, align);
      const skipped = address - hole.address;
      const left = hole.size - skipped - size;
      if (left < 0) continue;
      if (skipped > 0 && left > 0) {
        hole.size = skipped;
        holes.splice(i + 1, 0, { address: address + size, size: left });
      } else if (skipped > 0) hole.size = skipped;
      else if (left > 0) {
        hole.address += size;
        hole.size = left;
      } else holes.splice(i, 1);
      return address;
    }
    return -1;
  };

  const full = (size: number, needed: number): CapacityError =>
    new CapacityError(
      `wasm memory: ${size} more bytes need ${needed} in all, the limit is ${maxBytes}; ` +
        'use a smaller model, a smaller format or a shorter context',
    );

  /** Makes the memory long enough for `size` more bytes at its end. */
  const grow = (size: number, align: number): void => {
    // Another module that shares the memory may have grown it: its pages become ours too.
    adoptGrowth();
    const last = holes[holes.length - 1];
    const from = roundUp(
      last !== undefined && last.address + last.size === end ? last.address : Math.max(end, first),
      align,
    );
    const needed = from + size;
    if (needed <= end) return;
    if (needed > maxBytes) throw full(size, needed);
    const comfortable = Math.min(
      roundUp(Math.max(needed, end + GROW_BYTES), PAGE_BYTES),
      roundDown(maxBytes, PAGE_BYTES),
    );
    for (const target of [comfortable, roundUp(needed, PAGE_BYTES)]) {
      try {
        memory.grow((target - end) / PAGE_BYTES);
        adoptGrowth();
        return;
      } catch {
        // The host has less memory than that: ask for no more than what is needed, then give up.
      }
    }
    throw new CapacityError(
      `wasm memory: the host refuses to grow it from ${end} to ${needed} bytes; use a smaller model or a shorter context`,
    );
  };

  const adoptGrowth = (): void => {
    const now = memory.buffer.byteLength;
    const from = Math.max(end, first);
    if (now > from) addHole(from, now - from);
    end = now;
  };

  const view = <V>(make: new (buffer: ArrayBufferLike, address: number, n: number) => V, at: number, n: number): V => {
    assert(!isDisposed, 'a disposed memory is not used');
    return new make(memory.buffer, at >>> 0, n);
  };

  return {
    memory,
    alloc(nBytes: number, align: number = VECTOR_BYTES): number {
      assert(Number.isSafeInteger(nBytes) && nBytes >= 0, `a size of ${nBytes} bytes is a count`);
      assert(align > 0 && (align & (align - 1)) === 0, `an alignment of ${align} is a power of two`);
      assert(!isDisposed, 'a disposed memory is not used');
      const size = Math.max(roundUp(nBytes, VECTOR_BYTES), VECTOR_BYTES); // an empty array has an address of its own
      const aligned = Math.max(align, VECTOR_BYTES);
      let address = take(size, aligned);
      if (address < 0) {
        grow(size, aligned);
        address = take(size, aligned);
        assert(address >= 0, 'grown memory has the room it was grown for');
      }
      sizes.set(address, size);
      bytesInUse += size;
      return address;
    },
    free(address: number): void {
      if (isDisposed) return; // nothing is left to take back: sessions may outlive their model
      const size = sizes.get(address);
      assert(size !== undefined, `address ${address} is allocated`);
      sizes.delete(address);
      bytesInUse -= size;
      addHole(address, size);
    },
    reserve(nBytes: number): void {
      const needed = first + bytesInUse + nBytes;
      if (needed > maxBytes) throw full(nBytes, needed);
      grow(nBytes, VECTOR_BYTES);
    },
    f32: (address, n) => view(Float32Array, address, n),
    i32: (address, n) => view(Int32Array, address, n),
    bytes: (address, n) => view(Uint8Array, address, n),
    get bytesInUse() {
      return bytesInUse;
    },
    get isDisposed() {
      return isDisposed;
    },
    dispose(): void {
      isDisposed = true;
      holes.length = 0;
      sizes.clear();
      bytesInUse = 0;
    },
  };
}

/** Multiples of a power of two; beyond 2^31, so without 32-bit operators. */
function roundUp(x: number, multiple: number): number {
  return Math.ceil(x / multiple) * multiple;
}

function roundDown(x: number, multiple: number): number {
  return Math.floor(x / multiple) * multiple;
}
