import { expect, test } from 'vitest';
import { CapacityError } from '../../src/core/errors.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { bytesPerPosition } from '../../src/kvcache/layout.ts';
import { describeCache } from './cache_suite.ts';

describeCache('contiguous', createContiguousCache);

test('a cache that no memory can hold is a CapacityError, and leaves nothing behind', () => {
  const layout = { nLayers: 2 ** 20, nKvHeads: 2 ** 10, headDim: 2 ** 10, elementBytes: 4 } as const;
  const cache = createContiguousCache(layout, 4096, heapStorage(Float32Array));
  expect(() => cache.create()).toThrow(CapacityError);
  expect(cache.bytesInUse).toBe(0);
});

test('memory grows with the sequence, not with maxSeq', () => {
  const layout = { nLayers: 2, nKvHeads: 2, headDim: 8, elementBytes: 4 } as const;
  const cache = createContiguousCache(layout, 2 ** 20, heapStorage(Float32Array));
  const sequence = cache.create();
  cache.reserve(sequence, 1000);
  expect(cache.bytesInUse).toBeGreaterThanOrEqual(1000 * bytesPerPosition(layout));
  expect(cache.bytesInUse).toBeLessThanOrEqual(2 * 1008 * bytesPerPosition(layout)); // 1008: 1000 in whole blocks
});
