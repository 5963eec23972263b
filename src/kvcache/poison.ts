import type { KvStorage } from './cache.ts';

/** The same storage, whose slabs hold NaN when they are taken and when they are given back. Forms made of pages poison those too. */
export function poisoned<A extends Float32Array | Float64Array>(storage: KvStorage<A>): KvStorage<A> {
  return {
    alloc(nElements) {
      const slab = storage.alloc(nElements);
      slab.view().fill(Number.NaN);
      return slab;
    },
    get isDisposed() {
      return storage.isDisposed === true;
    },
    free(slab) {
      if (storage.isDisposed !== true) slab.view().fill(Number.NaN);
      storage.free(slab);
    },
  };
}
