import fc from 'fast-check';
import { expect } from 'vitest';
import { CapacityError, ConfigError } from '../../src/core/errors.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { KV_TYPES } from '../../src/kvcache/coded_rows.ts';
import type { KvLayout } from '../../src/kvcache/layout.ts';
import { createLossyCache } from '../../src/kvcache/lossy.ts';
import type { Losses } from '../../src/kvcache/lossy_options.ts';
import { mostBytes, mostRows } from '../../src/kvcache/lossy_size.ts';
import { PAGE_POSITIONS } from '../../src/kvcache/row_pages.ts';
import { seenBy, visibleAt } from '../../src/ops/visible.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { firstBitDifference } from '../support/bits.ts';
import { testRandom } from '../support/floats.ts';
import { poisonStorage } from './poison_storage.ts';

/** Random histories of the lossy form below its budget, against every row that was ever written. */

export const LAYOUT: KvLayout = { nLayers: 2, nKvHeads: 1, headDim: 32, elementBytes: 4 };
const WIDTH = LAYOUT.nKvHeads * LAYOUT.headDim;
export const MAX_SEQ = 600;

export const losses: fc.Arbitrary<Losses> = fc.record({
  window: fc.option(fc.record({ size: fc.integer({ min: 1, max: 150 }), sinks: fc.constantFrom(0, 1, 4, 64, 100) }), {
    nil: null,
  }),
  type: fc.constantFrom(...KV_TYPES),
  recent: fc.constantFrom(0, 1, 17, 64, 130),
});

type Step = { do: 'append' | 'truncate' | 'fork' | 'release'; which: number; count: number };
export const steps: fc.Arbitrary<Step[]> = fc.array(
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
export function rounded(row: Float32Array, type: 'q8_0' | 'q4_0'): Float32Array {
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

type Storage = ReturnType<typeof poisonStorage<Float32Array>>;

/** Plays the steps and returns the number of allocations. The one numbered failAt fails, and must change nothing. */
export function play(
  loss: Losses,
  story: readonly Step[],
  failAt = -1,
  wrong?: (cache: KvCache) => void,
  make = (storage: Storage): KvCache<Float32Array> => createLossyCache(LAYOUT, MAX_SEQ, storage, loss),
): number {
  const storage = poisonStorage(Float32Array, failAt);
  const cache = make(storage);
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
    const { pages } = cache.stats();
    if (pages === undefined) {
      expect(cache.bytesInUse).toBeLessThanOrEqual(twins.length * mostBytes(loss, LAYOUT, MAX_SEQ, 64));
    } else {
      const most = mostRows(loss, MAX_SEQ, 64, pages.size) / pages.size;
      for (const table of pages.tables) expect(table.pages.length).toBeLessThanOrEqual(most);
      expect(pages.nUsed).toBe(new Set(pages.tables.flatMap((table) => table.pages)).size);
    }
  }
  for (const { handle } of twins) cache.release(handle);
  expect(storage.liveBytes).toBe(0);
  return storage.nAllocs;
}
