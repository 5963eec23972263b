import type { KvStorage } from './cache.ts';
import { bytesOf } from './typed_rows.ts';

/** A number of nothing but these bytes is NaN in f32 and f64, and so is a scale of codes in f16. */
export const NAN_BYTE = 0xff;

/** The same storage, whose slabs hold NaN when they are taken and when they are given back. Forms made of pages poison those too. */
export function poisoned<A extends Float32Array | Float64Array>(storage: KvStorage<A>): KvStorage<A> {
  return {
    alloc(nElements) {
      const slab = storage.alloc(nElements);
      bytesOf(slab.view()).fill(NAN_BYTE);
      return slab;
    },
    get isDisposed() {
      return storage.isDisposed === true;
    },
    free(slab) {
      if (storage.isDisposed !== true) bytesOf(slab.view()).fill(NAN_BYTE);
      storage.free(slab);
    },
  };
}
