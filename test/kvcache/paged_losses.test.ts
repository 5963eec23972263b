import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import { KV_TYPES } from '../../src/kvcache/coded_rows.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { bytesPerPosition } from '../../src/kvcache/layout.ts';
import type { Losses } from '../../src/kvcache/lossy_options.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { createPagePool, type PagePool } from '../../src/kvcache/page_pool.ts';
import { createPageTables } from '../../src/kvcache/page_tables.ts';
import { NOTHING_KEPT } from '../../src/kvcache/paged.ts';
import { typedPositionBytes } from '../../src/kvcache/typed_rows.ts';
import { memoryScratch } from '../support/memory_scratch.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
import { LAYOUT, losses, MAX_SEQ, play, steps } from './lossy_history.ts';
import { poisonStorage } from './poison_storage.ts';

/** Pages of rounded rows are shared, found again and put away as pages of f32 are; a window takes pages out of a table. */

const coded = (hasPrefixes: boolean) =>
  histories(12, 300, hasPrefixes).map((history) => ({ ...history, layout: { ...history.layout, headDim: 32 } }));
const making =
  (options: KvOptions): MakeCache =>
  (layout, maxSeq, storage) =>
    createKvCache({ ...options, debug: true }, layout, maxSeq, storage);

const FORMS: readonly KvOptions[] = [
  { kind: 'paged', type: 'q8_0', pageSize: 16 },
  { kind: 'paged', type: 'q4_0', pageSize: 80 },
  { kind: 'prefix', type: 'q4_0', pageSize: 16 },
  { kind: 'tiered', type: 'q8_0', pageSize: 32, budget: 160, files: memoryScratch() },
];

describe('rounded rows', () => {
  test.each(FORMS)('%j: every history equals the model, rounded, and ends with nothing held', (options) => {
    const property = fc.property(coded(options.kind !== 'paged'), (history) => {
      playHistory(making(options), history);
    });
    fc.assert(property, { numRuns: 5, seed: 7 });
  });

  test('an allocation that fails, whichever it is, changes nothing and loses nothing', () => {
    const make = making(FORMS[2]!);
    let nFailures = 0;
    const property = fc.property(coded(true), (history) => {
      const short = { ...history, steps: history.steps.slice(0, 5) };
      const nAllocs = playHistory(make, short);
      for (let k = 0; k < nAllocs; k++, nFailures++) playHistory(make, short, k);
    });
    fc.assert(property, { numRuns: 6, seed: 8 });
    expect(nFailures).toBeGreaterThan(3);
  });

  type Mutant = <A extends Float32Array | Float64Array>(pool: PagePool<A>) => Partial<PagePool<A>>;
  const MUTANTS: Record<string, Mutant> = {
    'a copy that stops after a quarter, as if codes were as long as f32 rows': (pool) => ({
      copy: (from, to, n) => pool.copy(from, to, Math.floor(n / 64)),
    }),
    'addresses that count f32 rows': (pool) => ({
      addressOf: (place, layer, which, position) => pool.addressOf(place, layer, which, 0) + position * 128,
    }),
  };
  test.each(Object.entries(MUTANTS))('a mutant is caught: %s', (_what, mutant) => {
    const make: MakeCache = (layout, maxSeq, storage) => {
      const pool = createPagePool(layout, maxSeq, storage, { pageSize: 80, type: 'q4_0' });
      const wrong = Object.defineProperties(
        {},
        { ...Object.getOwnPropertyDescriptors(pool), ...Object.getOwnPropertyDescriptors(mutant(pool)) },
      ) as typeof pool;
      return createPageTables(layout, maxSeq, wrong, 'paged', NOTHING_KEPT).cache;
    };
    const property = fc.property(coded(false), (history) => void playHistory(make, history));
    expect(fc.check(property, { numRuns: 60, seed: 7, endOnFailure: true }).failed).toBe(true);
  });

  test.each(KV_TYPES)('%s: bytes are those of its format', (type) => {
    const cache = createKvCache({ kind: 'paged', type }, LAYOUT, MAX_SEQ, poisonStorage(Float32Array));
    cache.reserve(cache.create(), 512);
    const ofBlock = { f32: 128, q8_0: 34, q4_0: 18 }[type];
    expect(cache.bytesInUse).toBe((512 * bytesPerPosition(LAYOUT) * ofBlock) / 128);
    expect(typedPositionBytes(LAYOUT, type)).toBe((bytesPerPosition(LAYOUT) * ofBlock) / 128);
  });
});

test.each([
  { kind: 'paged', type: 'q8_0' },
  { kind: 'paged', type: 'q4_0', pageSize: 48 },
  { kind: 'lossy', type: 'q4_0' },
  { kind: 'lossy', window: 9 },
] as const)('%j: rows that nobody has written read as NaN in debug mode, fresh and used again', (form) => {
  const cache = createKvCache({ ...form, debug: true }, LAYOUT, 64, poisonStorage(Float32Array));
  const isWiped = (): boolean => {
    const sequence = cache.create();
    cache.reserve(sequence, 40);
    const all = [0, 1].flatMap((layer) => [...cache.readK(sequence, layer), ...cache.readV(sequence, layer)]);
    for (const layer of [0, 1]) cache.writeV(sequence, layer, 0, new Float32Array(40 * 32).fill(1));
    cache.release(sequence);
    return all.every(Number.isNaN);
  };
  cache.reserve(cache.create(), 1); // the pool stays
  expect([isWiped(), isWiped()]).toEqual([true, true]);
});

test.each(['paged', 'prefix'] as const)('%s: rows that are not whole blocks are refused by name', (kind) => {
  const make = () => createKvCache({ kind, type: 'q8_0' }, { ...LAYOUT, headDim: 24 }, 16, poisonStorage(Float32Array));
  expect(make).toThrow(UnsupportedError);
  expect(make).toThrow('type q8_0 takes rows in blocks of 32, headDim is 24; use type f32');
});

describe('a window', () => {
  const paged =
    ({ window, type }: Losses, pageSize: number, budget?: number) =>
    (storage: ReturnType<typeof poisonStorage<Float32Array>>): KvCache<Float32Array> =>
      createKvCache(
        { kind: 'paged', pageSize, budget, type, window: window?.size, sinks: window?.sinks, debug: true },
        LAYOUT,
        MAX_SEQ,
        storage,
      );
  const forms = fc.record({ loss: losses, pageSize: fc.constantFrom(16, 48, 128) }).map(({ loss, pageSize }) => ({
    loss: { ...loss, recent: 0 },
    pageSize,
  }));

  test('every row that a later one sees is there, for any page size; forks keep what they see', () => {
    fc.assert(
      fc.property(forms, steps, ({ loss, pageSize }, story) => {
        play(loss, story, -1, undefined, paged(loss, pageSize));
      }),
      { numRuns: 20, seed: 7 },
    );
  });

  test('an allocation that fails changes nothing', () => {
    fc.assert(
      fc.property(forms, steps, ({ loss, pageSize }, story) => {
        const nAllocs = play(loss, story.slice(0, 5), -1, undefined, paged(loss, pageSize));
        for (let k = 0; k < nAllocs; k++) play(loss, story.slice(0, 5), k, undefined, paged(loss, pageSize));
      }),
      { numRuns: 5, seed: 8 },
    );
  });

  test.each<[string, (cache: KvCache) => void]>([
    [
      'any length can be gone back to',
      (cache) => {
        cache.canTruncate = () => true;
      },
    ],
    [
      'dropped rows are counted',
      (cache) => {
        cache.dropped = () => 0;
      },
    ],
  ])('a mutant is caught: %s', (_what, wrong) => {
    const property = fc.property(forms, steps, ({ loss, pageSize }, story) => {
      play(loss, story, -1, wrong, paged(loss, pageSize));
    });
    expect(fc.check(property, { numRuns: 60, seed: 7, endOnFailure: true }).failed).toBe(true);
  });

  test('pages that one fork has dropped stay with the other; what is dropped is free for all', () => {
    const window = { size: 20, sinks: 4 };
    const cache = paged({ window, type: 'f32', recent: 0 }, 16, 160)(poisonStorage(Float32Array));
    const origin = cache.create();
    cache.reserve(origin, 60);
    const fork = cache.fork(origin);
    cache.reserve(origin, 1);
    expect([cache.dropped(origin), cache.dropped(fork)]).toEqual([16, 0]);
    expect(cache.canTruncate(origin, 60)).toBe(true);
    expect(cache.canTruncate(origin, 40)).toBe(false);
    expect(() => cache.truncate(origin, 40)).toThrow(ConfigError);
    cache.truncate(fork, 40);
    // A budget of ten pages: 600 positions pass through it.
    for (let i = 0; i < 539; i++) cache.reserve(origin, 1);
    expect(cache.length(origin)).toBe(600);
    expect(cache.stats().pages!.nUsed).toBeLessThanOrEqual(7);
  });
});
