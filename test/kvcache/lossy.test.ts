import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import type { KvCache } from '../../src/kvcache/cache.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { bytesPerPosition } from '../../src/kvcache/layout.ts';
import { createLossyCache } from '../../src/kvcache/lossy.ts';
import type { Losses } from '../../src/kvcache/lossy_options.ts';
import { mostRows } from '../../src/kvcache/lossy_size.ts';
import { PAGE_POSITIONS } from '../../src/kvcache/row_pages.ts';
import { describeCache, describeHistories } from './cache_suite.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
import { LAYOUT, losses, MAX_SEQ, play, rounded, steps } from './lossy_history.ts';
import { poisonStorage } from './poison_storage.ts';

/** Within its budget the lossy form is `contiguous`, bit for bit; below it, a row's numbers depend on its position alone. */

const covering =
  (losses: (maxSeq: number) => Partial<Losses>): MakeCache =>
  (layout, maxSeq, storage) =>
    createLossyCache(layout, maxSeq, storage, { window: null, type: 'f32', recent: 0, ...losses(maxSeq) });

describeCache(
  'a window as long as the sequence',
  covering((maxSeq) => ({ window: { size: maxSeq, sinks: 0 } })),
);
describeHistories(
  'a window that begins behind its sinks',
  covering((maxSeq) => ({ window: { size: maxSeq, sinks: 70 } })),
  { numRuns: 15, maxSteps: 14, maxSeq: 700, nFailing: 4, maxFailingSteps: 6 },
);

test.each(['q8_0', 'q4_0'] as const)('%s pages that are never cold: every history equals the model', (type) => {
  const cache = covering((maxSeq) => ({ type, recent: maxSeq }));
  fc.assert(
    fc.property(histories(14, 700), (history) => {
      playHistory(cache, { ...history, layout: { ...history.layout, headDim: 32 } });
    }),
    { numRuns: 6, seed: 7 },
  );
});

describe('below its budget', () => {
  test('every row that a later one sees is there, rounded when its page is cold; memory is bounded', () => {
    fc.assert(
      fc.property(losses, steps, (loss, story) => void play(loss, story)),
      { numRuns: 40, seed: 7 },
    );
  });

  test('an allocation that fails, whichever it is, changes nothing and loses nothing', () => {
    let nFailures = 0;
    fc.assert(
      fc.property(losses, steps, (loss, story) => {
        const nAllocs = play(loss, story.slice(0, 5));
        for (let k = 0; k < nAllocs; k++, nFailures++) play(loss, story.slice(0, 5), k);
      }),
      { numRuns: 8, seed: 8 },
    );
    expect(nFailures).toBeGreaterThan(8);
  });

  const MUTANTS: Record<string, (cache: KvCache) => void> = {
    'any length can be gone back to': (cache) => {
      cache.canTruncate = () => true;
    },
    'a run may cross the moment at which a page turns cold': (cache) => {
      cache.most = () => Infinity;
    },
    'dropped rows are counted': (cache) => {
      cache.dropped = () => 0;
    },
    'rows of cut pages come back': (cache) => {
      const { truncate } = cache;
      cache.truncate = (sequence, length) => {
        if (length > 0) truncate(sequence, length);
      };
    },
  };
  test.each(Object.entries(MUTANTS))('a mutant is caught: %s', (_what, wrong) => {
    const property = fc.property(losses, steps, (loss, story) => void play(loss, story, -1, wrong));
    expect(fc.check(property, { numRuns: 120, seed: 7, endOnFailure: true }).failed).toBe(true);
  });
});

describe('bytes', () => {
  const fill = (loss: Partial<Losses>, length: number): number => {
    const all = { window: null, type: 'f32', recent: 0, ...loss } as const;
    const cache = createLossyCache(LAYOUT, MAX_SEQ, poisonStorage(Float32Array), all);
    const sequence = cache.create();
    while (cache.length(sequence) < length) {
      cache.reserve(sequence, Math.min(16, length - cache.length(sequence), cache.most(sequence)));
    }
    return cache.bytesInUse;
  };

  test('of 32 elements: 128 in f32, 34 in q8_0, 18 in q4_0', () => {
    const plain = 512 * bytesPerPosition(LAYOUT);
    expect(fill({}, 512)).toBe(plain);
    expect(fill({ type: 'q8_0' }, 512)).toBe((plain * 34) / 128);
    expect(fill({ type: 'q4_0' }, 512)).toBe((plain * 18) / 128);
    // Position 511 is the last: pages of 0..383 are 128 positions old.
    expect(fill({ type: 'q4_0', recent: 64 }, 512)).toBe((plain * 6 * 18) / (8 * 128) + (plain * 2) / 8);
  });

  test('of a window do not grow with the sequence', () => {
    const window = { size: 100, sinks: 4 };
    const most = mostRows({ window }, MAX_SEQ, 16) * bytesPerPosition(LAYOUT);
    expect(fill({ window }, 300)).toBeLessThanOrEqual(most);
    expect(fill({ window }, 600)).toBeLessThanOrEqual(most);
    expect(most).toBeLessThanOrEqual(4 * PAGE_POSITIONS * bytesPerPosition(LAYOUT));
  });
});

test('a block that holds NaN or an infinity reads as NaN, its neighbours as themselves', () => {
  for (const type of ['q8_0', 'q4_0'] as const) {
    const cache = createLossyCache({ ...LAYOUT, headDim: 64 }, 16, poisonStorage(Float32Array), {
      window: null,
      type,
      recent: 0,
    });
    const sequence = cache.create();
    cache.reserve(sequence, 1);
    const row = Float32Array.from({ length: 64 }, (_, i) => (i === 3 ? Infinity : i));
    cache.writeK(sequence, 0, 0, row);
    const got = cache.readK(sequence, 0);
    expect(got.subarray(0, 32).every(Number.isNaN)).toBe(true);
    expect(got.subarray(32)).toEqual(rounded(row.subarray(32), type));
  }
});

test.each([
  [{ type: 'q8_1' as 'q8_0' }, ConfigError, 'kv-type is "q8_1", must be one of f32, q8_0, q4_0'],
  [{ window: 0 }, ConfigError, 'window is 0, must be a whole number from 1 on'],
  [{ window: 8, sinks: -1 }, ConfigError, 'sinks is -1, must be a whole number from 0 on'],
  [{ sinks: 4 }, ConfigError, 'sinks is 4, but nothing is forgotten; say --window N, or leave it out'],
  [{ recent: 4 }, ConfigError, 'kv-recent is 4, but rows are kept in f32'],
  [{ type: 'q4_0' as const }, UnsupportedError, 'type q4_0 takes rows in blocks of 32, headDim is 3; use type f32'],
])('%j is refused', (options, error, message) => {
  const make = () =>
    createKvCache({ kind: 'lossy', ...options }, { ...LAYOUT, headDim: 3 }, 16, poisonStorage(Float32Array));
  expect(make).toThrow(error);
  expect(make).toThrow(message);
});

test('a run across the moment at which a page turns cold is refused', () => {
  const loss: Losses = { window: null, type: 'q8_0', recent: 10 };
  const cache = createLossyCache(LAYOUT, MAX_SEQ, poisonStorage(Float32Array), loss);
  const sequence = cache.create();
  expect(cache.most(sequence)).toBe(74);
  expect(() => cache.reserve(sequence, 75)).toThrow(
    'kv cache: 75 positions at once are more than 74, where a page turns cold',
  );
  cache.reserve(sequence, 74);
  expect(cache.most(sequence)).toBe(64);
});
