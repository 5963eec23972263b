import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KvCache } from '../../src/kvcache/cache.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { describeCache } from './cache_suite.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
import { poisonStorage } from './poison_storage.ts';

const LAYOUT = { nLayers: 1, nKvHeads: 1, headDim: 2, elementBytes: 4 } as const;
const prefix =
  (pageSize: number, budget?: number): MakeCache =>
  (layout, maxSeq, storage) =>
    createKvCache({ kind: 'prefix', pageSize, budget, debug: true }, layout, maxSeq, storage);

describeCache('prefix, pages of 16', prefix(16, 2 ** 20), true);
describeCache('prefix, pages of 48', prefix(48, 2 ** 20), true);

/** Plays histories and adds up what their caches say of hits and evictions. */
function playMany(make: MakeCache, numRuns: number): { nHits: number; nEvicted: number } {
  const total = { nHits: 0, nEvicted: 0 };
  fc.assert(
    fc.property(histories(14, 700, true), (history) => {
      const caches: KvCache[] = [];
      playHistory((layout, maxSeq, storage) => {
        const cache = make(layout, maxSeq, storage);
        caches.push(cache as unknown as KvCache);
        return cache;
      }, history);
      for (const cache of caches) {
        total.nHits += cache.stats().prefix!.nHits;
        total.nEvicted += cache.stats().prefix!.nEvicted;
      }
    }),
    { numRuns, seed: 11 },
  );
  return total;
}

test('histories do hit', () => expect(playMany(prefix(16, 2 ** 20), 60).nHits).toBeGreaterThan(20));

test('histories in a small budget: old pages make room, and sequences lose nothing', () => {
  const { nHits, nEvicted } = playMany(prefix(16, 480), 60);
  expect(nHits).toBeGreaterThan(20);
  expect(nEvicted).toBeGreaterThan(20);
});

describe('wrong caches are caught', () => {
  type Mutant = <A extends Float32Array | Float64Array>(cache: KvCache<A>) => void;
  const MUTANTS: Record<string, Mutant> = {
    'a beginning is found by its length alone': (cache) => {
      const { adoptPrefix, publish } = cache;
      cache.adoptPrefix = (sequence, ids) =>
        adoptPrefix!(
          sequence,
          ids.map(() => 0),
        );
      cache.publish = (sequence, ids) =>
        publish!(
          sequence,
          ids.map(() => 0),
        );
    },
    'everything is adopted, the last id too': (cache) => {
      const { adoptPrefix } = cache;
      cache.adoptPrefix = (sequence, ids) => adoptPrefix!(sequence, [...ids, 0]);
    },
  };
  test.each(Object.entries(MUTANTS))('%s', (_what, mutant) => {
    const make: MakeCache = (layout, maxSeq, storage) => {
      const cache = prefix(16, 2 ** 20)(layout, maxSeq, storage);
      mutant(cache);
      return cache;
    };
    const property = fc.property(histories(14, 700, true), (history) => void playHistory(make, history));
    expect(fc.check(property, { numRuns: 150, seed: 11 }).failed).toBe(true);
  });
});

/** A cache, and a way to run a text through it as a session does. */
function start(
  options: { budget?: number; salt?: string; storage?: ReturnType<typeof poisonStorage<Float32Array>> } = {},
) {
  const { storage = poisonStorage(Float32Array), ...rest } = options;
  const cache = createKvCache({ kind: 'prefix', ...rest }, LAYOUT, 4096, storage);
  /** Gives how many positions were there already. */
  const run = (ids: readonly number[], scope: { salt?: string; priority?: number } = {}): number => {
    const sequence = cache.create();
    const n = cache.adoptPrefix!(sequence, ids, scope);
    cache.reserve(sequence, ids.length - n);
    cache.publish!(sequence, ids, scope);
    cache.release(sequence);
    return n;
  };
  return { cache, run, pages: () => cache.stats().pages!, prefix: () => cache.stats().prefix! };
}
const text = (n: number, id: number) => new Array<number>(n).fill(id);

describe('pages found again', () => {
  test('whole pages of the longest known beginning, and never the last id', () => {
    const { run, prefix } = start();
    expect(run(text(40, 1))).toBe(0);
    expect(run(text(40, 1))).toBe(32);
    expect(run(text(33, 1))).toBe(32);
    expect(run(text(32, 1))).toBe(16);
    expect(run([...text(20, 1), ...text(20, 2)])).toBe(16);
    expect(run([...text(20, 1), ...text(20, 2)])).toBe(32);
    expect(run([2, ...text(40, 1)])).toBe(0);
    expect(run([1])).toBe(0);
    expect(prefix()).toEqual({ nHits: 8, nMisses: 5, nEvicted: 0, nFindable: 5 });
  });

  test('two sequences that compute the same end with one copy of it', () => {
    const { cache, pages } = start();
    const [a, b] = [cache.create(), cache.create()];
    for (const s of [a, b]) {
      cache.adoptPrefix!(s, text(40, 1));
      cache.reserve(s, 40);
    }
    expect(pages()).toMatchObject({ nUsed: 6, nShared: 0 });
    cache.publish!(a, text(40, 1));
    cache.publish!(b, text(40, 1));
    expect(pages()).toMatchObject({ nUsed: 4, nShared: 2, nKept: 0 });
    cache.release(a);
    cache.release(b);
    expect(pages()).toMatchObject({ nUsed: 0, nKept: 2 });
  });

  test('a page that was published is copied before a write, also for its only owner', () => {
    const { cache, run, pages } = start();
    const a = cache.create();
    cache.reserve(a, 16);
    cache.publish!(a, text(16, 1));
    cache.truncate(a, 10);
    cache.reserve(a, 6);
    expect(pages()).toMatchObject({ nUsed: 1, nKept: 1, nCopied: 1 });
    expect(run(text(17, 1))).toBe(16);
  });

  test('salts keep tenants apart', () => {
    const { run } = start({ salt: 'server' });
    run(text(40, 1), { salt: 'a' });
    expect(run(text(40, 1), { salt: 'b' })).toBe(0);
    expect(run(text(40, 1))).toBe(0);
    expect(run(text(40, 1), { salt: 'a' })).toBe(32);
  });

  test('when memory is needed, the longest unused go first, from their ends', () => {
    const { run, prefix } = start({ budget: 96 }); // six pages
    run(text(32, 1));
    run(text(32, 2));
    run(text(17, 1)); // used again: its first page only
    expect(run(text(48, 3))).toBe(0); // needs three of two free ones: the second page of text 1 is as old as text 2's, and deeper
    expect(prefix().nEvicted).toBe(1);
    expect(run(text(33, 3))).toBe(32);
    expect(run(text(33, 1))).toBe(16);
  });

  test('a priority keeps what is older', () => {
    const { run } = start({ budget: 64 });
    run(text(32, 1), { priority: 1 });
    run(text(32, 2));
    run(text(32, 3));
    expect(run(text(33, 1))).toBe(32);
  });

  test('pages that are in use are not given up', () => {
    const { cache } = start({ budget: 64 });
    const a = cache.create();
    cache.reserve(a, 64);
    cache.publish!(a, text(64, 1));
    expect(() => cache.reserve(cache.create(), 1)).toThrow('4 of 4 are in use');
    expect(cache.evict!(9)).toBe(0);
    cache.release(a);
    expect(cache.evict!(1)).toBe(1);
    expect(cache.evict!(9)).toBe(3);
    expect(cache.bytesInUse).toBe(0);
  });

  test('a storage that is full takes the memory of old pages', () => {
    const { run, prefix } = start({ storage: poisonStorage(Float32Array, 1) });
    run(text(256, 1));
    expect(run(text(64, 2))).toBe(0);
    expect(prefix().nEvicted).toBe(4);
  });
});
