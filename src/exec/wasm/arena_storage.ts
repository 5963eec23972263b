import type { KvStorage } from '../../kvcache/cache.ts';
import type { Arena } from './arena.ts';

/** WASM memory as a cache's storage: kernels read the rows where they lie. */
export function arenaStorage(arena: Arena): KvStorage<Float32Array> {
  return {
    alloc(nElements) {
      const address = arena.alloc(nElements * Float32Array.BYTES_PER_ELEMENT);
      return { address, nElements, view: () => arena.f32(address, nElements) };
    },
    get isDisposed() {
      return arena.isDisposed;
    },
    free: (slab) => arena.free(slab.address),
  };
}
