import { CapacityError } from '../../src/core/errors.ts';
import type { KvSlab, KvStorage } from '../../src/kvcache/cache.ts';

type Floats = Float32Array | Float64Array;

export interface PoisonStorage<A extends Floats> extends KvStorage<A> {
  /** Calls of alloc so far, the failed one included. */
  readonly nAllocs: number;
  readonly liveBytes: number;
  /** The number at a byte address of a live slab. Throws when there is none. */
  at(address: number): number;
  /** So many bytes from there on, all in one live slab. */
  bytesAt(address: number, nBytes: number): Uint8Array;
}

/**
 * Storage that is as unkind as its contract allows: new slabs hold NaN, freed ones too, every alloc moves all slabs (as a
 * memory that grows detaches its views), addresses start above 0 and leave gaps. The alloc number `failAt` (from 0) throws.
 */
export function poisonStorage<A extends Floats>(make: new (n: number) => A, failAt = -1): PoisonStorage<A> {
  const elementBytes = new make(1).BYTES_PER_ELEMENT;
  const live = new Map<KvSlab<A>, A>();
  let nextAddress = 1024;
  let nAllocs = 0;
  const poisoned = (n: number): A => new make(n).fill(NaN) as A;
  const moveAll = (): void => {
    for (const [slab, data] of live) {
      live.set(slab, data.slice() as A);
      data.fill(NaN);
    }
  };
  return {
    alloc(nElements) {
      moveAll();
      if (nAllocs++ === failAt) throw new CapacityError(`storage: allocation ${failAt} fails, as planned`);
      const address = nextAddress;
      nextAddress += nElements * elementBytes + 64;
      const slab: KvSlab<A> = {
        address,
        nElements,
        view() {
          const data = live.get(slab);
          if (data === undefined) throw new Error(`slab at ${address} was freed`);
          return data;
        },
      };
      live.set(slab, poisoned(nElements));
      return slab;
    },
    free(slab) {
      const data = live.get(slab);
      if (data === undefined) throw new Error(`slab at ${slab.address} was freed twice`);
      data.fill(NaN);
      live.delete(slab);
    },
    get nAllocs() {
      return nAllocs;
    },
    get liveBytes() {
      return [...live.keys()].reduce((n, slab) => n + slab.nElements * elementBytes, 0);
    },
    at(address) {
      for (const [slab, data] of live) {
        const index = (address - slab.address) / elementBytes;
        if (Number.isInteger(index) && index >= 0 && index < slab.nElements) return data[index]!;
      }
      throw new Error(`address ${address} lies in no slab`);
    },
    bytesAt(address, nBytes) {
      for (const [slab, data] of live) {
        const from = address - slab.address;
        const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
        if (from >= 0 && from + nBytes <= bytes.length) return bytes.subarray(from, from + nBytes);
      }
      throw new Error(`bytes ${address}..${address + nBytes} lie in no slab`);
    },
  };
}
