import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { KV_TYPES } from '../../src/kvcache/coded_rows.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { bytesPerPosition, type KvLayout } from '../../src/kvcache/layout.ts';
import { createLossyCache } from '../../src/kvcache/lossy.ts';
import type { Losses } from '../../src/kvcache/lossy_options.ts';
import { mostBytes, mostRows } from '../../src/kvcache/lossy_size.ts';
import { PAGE_POSITIONS } from '../../src/kvcache/row_pages.ts';
import { seenBy, visibleAt } from '../../src/ops/visible.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { testRandom } from '../support/floats.ts';
import { describeCache, describeHistories } from './cache_suite.ts';
import { histories, type MakeCache, playHistory } from './history.ts';
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

const LAYOUT: KvLayout = { nLayers: 2, nKvHeads: 1, headDim: 32, elementBytes: 4 };
const WIDTH = LAYOUT.nKvHeads * LAYOUT.headDim;
const MAX_SEQ = 600;

const losses: fc.Arbitrary<Losses> = fc.record({
  window: fc.option(fc.record({ size: fc.integer({ min: 1, max: 150 }), sinks: fc.constantFrom(0, 1, 4, 64, 100) }), {
    nil: null,
  }),
  type: fc.constantFrom(...KV_TYPES),
  recent: fc.constantFrom(0, 1, 17, 64, 130),
});

type Step = { do: 'append' | 'truncate' | 'fork' | 'release'; which: number; count: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.constantFrom('append' as const, 'append' as const, 'truncate' as const, 'fork' as const, 'release' as const),
    which: fc.nat(3),
    count: fc.oneof(fc.nat(5), fc.nat(250)),
  }),
  { minLength: 1, maxLength: 10 },
);

interface Twin {
  handle: KvSequence;
  rows: Float32Array[];
}

/** What a row of one head becomes in a type of codes. */
function rounded(row: Float32Array, type: 'q8_0' | 'q4_0'): Float32Array {
  const bytes = new Uint8Array(FORMATS[type].blockBytes * (row.length / 32));
  const out = new Float32Array(row.length);
  FORMATS[type].pack(row, 0, row.length, bytes, 0);
  FORMATS[type].unpack(bytes, 0, out, 0, row.length);
  return out;
}

function same(position: number, got: Float32Array, expected: Float32Array): void {
  const i = firstBitDifference(got, expected);
  if (i >= 0) throw new Error(`position ${position}: element ${i} is ${got[i]}, not ${expected[i]}`);
}

/** What the next row must be able to see: each row that is visible to it, as its age says. */
function checkRows(cache: KvCache<Float32Array>, { handle, rows }: Twin, { type, recent }: Losses): void {
  const next = rows.length;
  const dropped = cache.dropped(handle);
  const keys = cache.readK(handle, 1);
  expect(keys.length).toBe((next - dropped) * WIDTH);
  const visible = visibleAt(Int32Array.of(next), cache.window, dropped);
  for (const [from, until] of seenBy(visible, 0)) {
    for (let row = from; row < Math.min(until, next - dropped); row++) {
      const position = until === visible.lengths[0] && from >= visible.sinks && dropped > 0 ? row + dropped : row;
      const coldFrom = (Math.floor(position / PAGE_POSITIONS) + 1) * PAGE_POSITIONS + recent;
      const got = keys.subarray(row * WIDTH, (row + 1) * WIDTH);
      // A page turns cold when the position behind is reserved: at the moment itself it may still be hot.
      if (type !== 'f32' && (recent === 0 || next > coldFrom)) same(position, got, rounded(rows[position]!, type));
      else if (type === 'f32' || next < coldFrom) same(position, got, rows[position]!);
    }
  }
}

/** Plays the steps and returns the number of allocations. The one numbered failAt fails, and must change nothing. */
function play(loss: Losses, story: readonly Step[], failAt = -1, wrong?: (cache: KvCache) => void): number {
  const storage = poisonStorage(Float32Array, failAt);
  const cache = createLossyCache(LAYOUT, MAX_SEQ, storage, loss);
  wrong?.(cache as KvCache);
  const random = testRandom(story.length);
  let twins: Twin[] = [{ handle: cache.create(), rows: [] }];
  for (const step of story) {
    const twin = twins[step.which % twins.length]!;
    try {
      switch (step.do) {
        case 'append': {
          for (let left = Math.min(step.count, MAX_SEQ - twin.rows.length); left > 0; ) {
            const count = Math.min(left, 64, cache.most(twin.handle));
            const first = twin.rows.length;
            cache.reserve(twin.handle, count);
            const all = Float32Array.from({ length: count * WIDTH }, () => 2 * random() - 1);
            for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
              cache.writeK(twin.handle, layer, first, all);
              cache.writeV(twin.handle, layer, first, all);
            }
            const added = Array.from({ length: count }, (_, t) => all.subarray(t * WIDTH, (t + 1) * WIDTH));
            twin.rows = [...twin.rows, ...added];
            left -= count;
          }
          break;
        }
        case 'truncate': {
          const length = Math.max(0, twin.rows.length - step.count);
          const can = cache.canTruncate(twin.handle, length);
          if (!can) expect(() => cache.truncate(twin.handle, length)).toThrow(ConfigError);
          cache.truncate(twin.handle, can ? length : 0);
          twin.rows = twin.rows.slice(0, can ? length : 0);
          break;
        }
        case 'fork':
          if (twins.length < 3) twins.push({ handle: cache.fork(twin.handle), rows: twin.rows });
          break;
        case 'release':
          if (twins.length === 1) break;
          cache.release(twin.handle);
          twins = twins.filter((other) => other !== twin);
          break;
        default:
          step.do satisfies never;
      }
    } catch (e) {
      if (!(e instanceof CapacityError && e.message.includes('as planned'))) throw e;
    }
    for (const each of twins) {
      expect(cache.length(each.handle)).toBe(each.rows.length);
      checkRows(cache, each, loss);
    }
    expect(cache.bytesInUse).toBe(storage.liveBytes);
    expect(cache.bytesInUse).toBeLessThanOrEqual(twins.length * mostBytes(loss, LAYOUT, MAX_SEQ, 64));
  }
  for (const { handle } of twins) cache.release(handle);
  expect(storage.liveBytes).toBe(0);
  return storage.nAllocs;
}

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
    const most = mostRows({ window, type: 'f32', recent: 0 }, MAX_SEQ, 16) * bytesPerPosition(LAYOUT);
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
