import { CapacityError } from '../core/errors.ts';
import type { KvStorage } from './cache.ts';

/** Plain JavaScript arrays as storage: for the naive executors, which never ask for an address. */
export function heapStorage<A extends Float32Array | Float64Array>(make: new (n: number) => A): KvStorage<A> {
  return {
    alloc(nElements) {
      let data: A;
      try {
        data = new make(nElements);
      } catch {
        throw new CapacityError(`kv cache: cannot allocate ${nElements} elements; lower --max-seq`);
      }
      return { address: 0, nElements, view: () => data };
    },
    free() {},
  };
}
