import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError } from '../../src/core/errors.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { bytesPerPosition } from '../../src/kvcache/layout.ts';
import { createPagePool, type PagePool, type Place } from '../../src/kvcache/page_pool.ts';
import { createPageTables } from '../../src/kvcache/page_tables.ts';
import { NOTHING_KEPT } from '../../src/kvcache/paged.ts';
import { describeCache } from './cache_suite.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
import { poisonStorage } from './poison_storage.ts';

const LAYOUT = { nLayers: 2, nKvHeads: 2, headDim: 3, elementBytes: 4 } as const;
const paged =
  (pageSize: number, budget?: number): MakeCache =>
  (layout, maxSeq, storage) =>
    createKvCache({ kind: 'paged', pageSize, budget, debug: true }, layout, maxSeq, storage);

describeCache('paged, pages of 16', paged(16));
describeCache('paged, pages of 48', paged(48));

test('histories in a small budget: what does not fit is refused and changes nothing', () => {
  let nRefused = 0;
  const counting: MakeCache = (layout, maxSeq, storage) => {
    const cache = paged(16, 160)(layout, maxSeq, storage);
    const reserve = cache.reserve;
    cache.reserve = (sequence, count) => {
      try {
        reserve(sequence, count);
      } catch (e) {
        if (e instanceof CapacityError && e.message.includes('raise --kv-budget')) nRefused++;
        throw e;
      }
    };
    return cache;
  };
  fc.assert(
    fc.property(histories(14, 700), (history) => void playHistory(counting, history)),
    { numRuns: 60, seed: 7 },
  );
  expect(nRefused).toBeGreaterThan(10);
});

describe('wrong pools are caught', () => {
  type Mutant = <A extends Float32Array | Float64Array>(pool: PagePool<A>) => Partial<PagePool<A>>;
  const MUTANTS: Record<string, Mutant> = {
    'a copy before a write that copies nothing': () => ({ copy() {} }),
    'a copy that forgets the last block': (pool) => ({
      copy: (from, to, nPositions) => pool.copy(from, to, Math.max(0, nPositions - 16)),
    }),
    'a page that is given twice': (pool) => {
      let last: Place<never> | undefined;
      return {
        take(n, behind) {
          const places = pool.take(n, behind);
          if (last !== undefined && places.length > 0) places[0] = last as (typeof places)[0];
          last = places.at(-1) as Place<never> | undefined;
          return places;
        },
      };
    },
    'a page that is never given back': () => ({ give() {} }),
    'a page that is taken while it is in use': (pool) => ({
      take(n, behind) {
        const places = pool.take(n, behind);
        for (const place of places) if (place.index === 3) pool.give(place);
        return places;
      },
    }),
  };
  test.each(Object.entries(MUTANTS))('%s', (_what, mutant) => {
    const make: MakeCache = (layout, maxSeq, storage) => {
      const pool = createPagePool(layout, maxSeq, storage, { pageSize: 16, debug: true });
      const wrong = Object.defineProperties(
        {},
        { ...Object.getOwnPropertyDescriptors(pool), ...Object.getOwnPropertyDescriptors(mutant(pool)) },
      ) as typeof pool;
      return createPageTables(layout, maxSeq, wrong, 'paged', NOTHING_KEPT).cache;
    };
    const property = fc.property(histories(14, 700), (history) => void playHistory(make, history));
    expect(fc.check(property, { numRuns: 100, seed: 7 }).failed).toBe(true);
  });
});

describe('pages', () => {
  const start = (pageSize = 16, budget?: number) =>
    createKvCache({ kind: 'paged', pageSize, budget, debug: true }, LAYOUT, 4096, poisonStorage(Float32Array));
  const pagesOf = (cache: ReturnType<typeof start>) => cache.stats().pages!;

  test('a fork takes no memory; its first write copies one page, and only when that page is shared', () => {
    const cache = start();
    const origin = cache.create();
    cache.reserve(origin, 37);
    const fork = cache.fork(origin);
    expect(pagesOf(cache)).toMatchObject({ nUsed: 3, nShared: 3, nCopied: 0 });
    cache.reserve(fork, 1);
    expect(pagesOf(cache)).toMatchObject({ nUsed: 4, nShared: 2, nCopied: 1 });
    cache.reserve(origin, 1);
    expect(pagesOf(cache)).toMatchObject({ nUsed: 4, nShared: 2, nCopied: 1 });
  });

  test('a shared page that is full is not copied', () => {
    const cache = start();
    const origin = cache.create();
    cache.reserve(origin, 32);
    cache.reserve(cache.fork(origin), 1);
    expect(pagesOf(cache)).toMatchObject({ nUsed: 3, nShared: 2, nCopied: 0 });
  });

  test('a sequence that grows alone has few runs, however it grows', () => {
    const cache = start();
    const sequence = cache.create();
    for (let i = 0; i < 1500; i++) cache.reserve(sequence, 1);
    // Chunks of 256, 256, 512 and 1,024 positions.
    expect(pagesOf(cache).tables[0]!.nRuns).toBe(4);
    const other = cache.create();
    cache.reserve(other, 3000);
    expect(pagesOf(cache).tables[1]!.nRuns).toBeLessThanOrEqual(2);
  });

  test('sequences that grow side by side have runs of many pages', () => {
    const cache = start();
    const sequences = Array.from({ length: 8 }, () => cache.create());
    for (let i = 0; i < 512; i++) for (const sequence of sequences) cache.reserve(sequence, 1);
    for (const { nRuns, pages } of pagesOf(cache).tables) {
      expect(pages).toHaveLength(32);
      expect(nRuns).toBeLessThanOrEqual(16);
    }
  });

  test('memory follows what is held', () => {
    const cache = start();
    const sequence = cache.create();
    expect(cache.bytesInUse).toBe(0);
    cache.reserve(sequence, 1000);
    expect(cache.bytesInUse).toBe(1008 * bytesPerPosition(LAYOUT));
    cache.release(sequence);
    expect(cache.bytesInUse).toBe(0);
  });

  test('a full budget says what to do', () => {
    const cache = start(16, 64);
    const sequence = cache.create();
    cache.reserve(sequence, 40);
    expect(() => cache.reserve(cache.create(), 17)).toThrow(
      'kv cache: 2 more pages of 16 positions do not fit, 3 of 4 are in use; raise --kv-budget, or end other sequences',
    );
    cache.reserve(sequence, 24);
  });
});

describe('options', () => {
  const make = (options: object) => () =>
    createKvCache(options as { kind: 'paged' }, LAYOUT, 64, poisonStorage(Float32Array));
  test.each([
    [{ kind: 'heap' }, /^kv is "heap", must be one of contiguous, paged/],
    [
      { kind: 'paged', pageSize: 24 },
      /^page-size is 24, must be a multiple of 16: the keys of 16 positions lie interl/,
    ],
    [{ kind: 'paged', pageSize: 0 }, /^page-size is 0/],
    [{ kind: 'paged', pageSize: 16.5 }, /^page-size is 16.5/],
    [{ kind: 'paged', pageSize: 32, budget: 31 }, /^kv-budget is 31 positions, must be a whole number .* page of 32/],
    [{ kind: 'paged', budget: NaN }, /^kv-budget is NaN/],
    [
      { kind: 'contiguous', pageSize: 16 },
      /^page-size 16 does not go with kv contiguous: it is of pages .*; use --kv paged, or leave it out$/,
    ],
    [{ kind: 'contiguous', budget: 16 }, /^kv-budget 16 does not go with kv contiguous/],
  ])('%j is refused', (options, message) => {
    expect(make(options)).toThrow(ConfigError);
    expect(make(options)).toThrow(message);
  });
});
