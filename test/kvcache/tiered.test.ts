import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { type MemoryScratch, memoryScratch } from '../support/memory_scratch.ts';
import { describeCache } from './cache_suite.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
import { poisonStorage } from './poison_storage.ts';

const LAYOUT = { nLayers: 2, nKvHeads: 2, headDim: 2, elementBytes: 4 } as const;
const WIDTH = LAYOUT.nKvHeads * LAYOUT.headDim;
const tiered =
  (pageSize: number, seen: KvCache[] = [], files = memoryScratch): MakeCache =>
  (layout, maxSeq, storage) => {
    const options = { kind: 'tiered', pageSize, debug: true, files: files() } as const;
    const cache = createKvCache(options, layout, maxSeq, storage);
    seen.push(cache as unknown as KvCache);
    return cache;
  };

describeCache('tiered, pages of 16', tiered(16), true);
describeCache('tiered, pages of 48', tiered(48), true);

test('histories do move pages to the file and back', () => {
  const caches: KvCache[] = [];
  fc.assert(
    fc.property(histories(24, 250, true), (history) => void playHistory(tiered(16, caches), history)),
    { numRuns: 60, seed: 13 },
  );
  const total = { nWritten: 0, nRead: 0 };
  for (const cache of caches) {
    const { nCold, nWritten, nRead } = cache.stats().file!;
    expect(nCold).toBe(0);
    total.nWritten += nWritten;
    total.nRead += nRead;
  }
  expect(total.nWritten).toBeGreaterThan(100);
  expect(total.nRead).toBeGreaterThan(100);
});

describe('wrong page files are caught', () => {
  const MUTANTS: Record<string, (files: MemoryScratch) => void> = {
    'one that writes every page to the same place': (files) => {
      const { create } = files;
      files.create = () => {
        const file = create();
        return {
          ...file,
          write: (_offset, bytes) => file.write(0, bytes),
          read: (_offset, into) => file.read(0, into),
        };
      };
    },
    'one that loses a byte': (files) => {
      const { create } = files;
      files.create = () => {
        const file = create();
        return { ...file, write: (offset, bytes) => file.write(offset, bytes.slice().fill(0, 3, 4)) };
      };
    },
  };
  test.each(Object.entries(MUTANTS))('%s', (_what, mutant) => {
    const make = tiered(16, [], () => {
      const files = memoryScratch();
      mutant(files);
      return files;
    });
    const property = fc.property(histories(14, 700, true), (history) => void playHistory(make, history));
    expect(fc.check(property, { numRuns: 100, seed: 13 }).failed).toBe(true);
  });
});

/** Memory for four pages; sequences whose every row is their number. */
function start(o: { files?: MemoryScratch; fileBudget?: number } = {}) {
  const files = o.files ?? memoryScratch();
  const options = { kind: 'tiered', budget: 64, fileBudget: o.fileBudget, debug: true, files } as const;
  const cache = createKvCache(options, LAYOUT, 64, poisonStorage(Float32Array));
  const sequenceOf = (n: number, value: number): KvSequence => {
    const sequence = cache.create();
    cache.reserve(sequence, n);
    for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
      const rows = new Float32Array(n * WIDTH).fill(value + layer);
      cache.writeK(sequence, layer, 0, rows);
      cache.writeV(sequence, layer, 0, rows);
    }
    return sequence;
  };
  const valuesOf = (sequence: KvSequence): number[] => [...new Set(cache.readV(sequence, 1))];
  return { cache, files, sequenceOf, valuesOf, file: () => cache.stats().file! };
}

describe('pages that leave memory', () => {
  test('are those of the sequence that was idle longest, and come back when it is used', () => {
    const { cache, sequenceOf, valuesOf, file } = start();
    const [a, b] = [sequenceOf(32, 10), sequenceOf(32, 20)];
    cache.reserve(a, 0);
    const c = sequenceOf(32, 30);
    expect(cache.stats().pages!.tables.map(({ pages }) => pages.filter((page) => page < 0).length)).toEqual([2, 0, 0]);
    expect(file()).toMatchObject({ nCold: 2, nWritten: 2, nRead: 0 });
    expect([a, b, c].map(valuesOf)).toEqual([[11], [21], [31]]);
    expect(file().nRead).toBeGreaterThan(1);
  });

  test('of a sequence that cannot be in memory whole are refused', () => {
    const { cache, sequenceOf, valuesOf } = start();
    const a = sequenceOf(48, 10);
    const long = cache.create();
    cache.reserve(long, 64);
    expect(() => cache.reserve(long, 1)).toThrow(CapacityError);
    expect(valuesOf(a)).toEqual([11]);
  });

  test('that nobody uses are found again', () => {
    const { cache, sequenceOf, valuesOf, file } = start();
    const ids = new Array<number>(33).fill(7);
    const a = sequenceOf(32, 10);
    cache.publish!(a, ids.slice(0, 32));
    cache.release(a);
    const b = sequenceOf(64, 20);
    expect(file().nCold).toBe(2);
    const c = cache.create();
    expect(cache.adoptPrefix!(c, ids)).toBe(32);
    expect([b, c].map(valuesOf)).toEqual([[21], [11]]);
    // Their rows never change: going to the file again, they need not be written.
    const { nWritten } = file();
    valuesOf(b);
    expect(file().nWritten).toBe(nWritten);
  });

  test('on a full disk stay, and the sequence that wanted their memory is refused', () => {
    const { cache, files, sequenceOf, valuesOf } = start({ files: memoryScratch(0) });
    const [a, b] = [sequenceOf(32, 10), sequenceOf(32, 20)];
    expect(() => sequenceOf(16, 30)).toThrow('no room, as planned');
    expect([a, b].map(valuesOf)).toEqual([[11], [21]]);
    files.most = Infinity;
    expect(valuesOf(sequenceOf(16, 30))).toEqual([31]);
    expect(cache.stats().file!.nWritten).toBe(1);
  });

  test('beyond what the file may hold are refused, after old ones that nobody uses were given up', () => {
    const { cache, sequenceOf, valuesOf } = start({ fileBudget: 32 });
    const ids = new Array<number>(33).fill(7);
    const old = sequenceOf(32, 5);
    cache.publish!(old, ids.slice(0, 32));
    cache.release(old);
    const [a, b] = [sequenceOf(48, 10), sequenceOf(32, 20)];
    expect([a, b].map(valuesOf)).toEqual([[11], [21]]);
    expect(cache.adoptPrefix!(cache.create(), ids)).toBe(0);
    expect(() => sequenceOf(48, 30)).toThrow(CapacityError);
    expect([a, b].map(valuesOf)).toEqual([[11], [21]]);
  });

  test('and were damaged there are an error for their sequence alone', () => {
    const { cache, files, sequenceOf, valuesOf, file } = start();
    const [a, b] = [sequenceOf(32, 10), sequenceOf(48, 20)];
    expect(file().nCold).toBe(1);
    files.contents[0]![40]! ^= 1;
    expect(() => cache.readK(a, 0)).toThrow(FormatError);
    expect(() => cache.reserve(a, 1)).toThrow('does not have its checksum; the file is damaged, end this sequence');
    expect(valuesOf(b)).toEqual([21]);
    cache.release(a);
    cache.release(b);
    expect(cache.bytesInUse).toBe(0);
  });

  test('and were damaged there are found no more: the rest is computed', () => {
    const { cache, files, sequenceOf } = start();
    const ids = new Array<number>(49).fill(7);
    const a = sequenceOf(48, 10);
    cache.publish!(a, ids.slice(0, 48));
    cache.release(a);
    const b = sequenceOf(64, 20);
    const pageBytes = files.contents[0]!.length / 3;
    files.contents[0]![pageBytes + 5]! ^= 1; // the second page
    cache.release(b);
    const c = cache.create();
    expect(cache.adoptPrefix!(c, ids)).toBe(16);
    expect(cache.stats().prefix!.nFindable).toBe(1);
    cache.release(c);
    cache.evict!(Infinity);
    expect(cache.bytesInUse).toBe(0);
  });

  test('are in a file that is removed with the cache, and made only when one leaves', () => {
    const { cache, files, sequenceOf } = start();
    const a = sequenceOf(48, 10);
    expect(files.nOpen).toBe(0);
    const b = sequenceOf(48, 20);
    expect(files.nOpen).toBe(1);
    cache.dispose!();
    expect(files.nOpen).toBe(0);
    cache.release(a);
    cache.release(b);
    cache.dispose!();
  });
});

test('a host without such files says so', () => {
  const make = (files?: string) => () =>
    createKvCache({ kind: 'tiered', files }, LAYOUT, 64, poisonStorage(Float32Array));
  expect(make('pages have none')).toThrow(UnsupportedError);
  expect(make('pages have none')).toThrow('kv tiered: pages have none; choose another kv');
  expect(make()).toThrow('kv tiered: no place for its page file was given');
});
