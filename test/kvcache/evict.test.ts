import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError, ConfigError } from '../../src/core/errors.ts';
import { tensor } from '../../src/core/tensor.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import { createEvictCache } from '../../src/kvcache/evict.ts';
import { type EvictOptions, type EvictRule, evictRuleOf } from '../../src/kvcache/evict_options.ts';
import type { KvLayout } from '../../src/kvcache/layout.ts';
import { visibleAt } from '../../src/ops/visible.ts';
import { testRandom } from '../support/floats.ts';
import { mutatedModule } from '../support/mutated_module.ts';
import { describeCache } from './cache_suite.ts';
import { poisonStorage } from './poison_storage.ts';

/** Where the budget covers maxSeq the form is `contiguous`; below it, random histories beside a plain list of rows. */

describeCache('a budget as long as the sequence', (layout, maxSeq, storage) =>
  createEvictCache(layout, maxSeq, storage, { budget: maxSeq, sinks: 0, recent: 0 }),
);

const LAYOUT: KvLayout = { nLayers: 2, nKvHeads: 2, headDim: 3, elementBytes: 4 };
const WIDTH = LAYOUT.nKvHeads * LAYOUT.headDim;
const MAX_SEQ = 400;

const rules: fc.Arbitrary<EvictRule> = fc
  .record({
    sinks: fc.constantFrom(0, 1, 4, 70),
    recent: fc.constantFrom(0, 1, 20, 64),
    free: fc.integer({ min: 16, max: 90 }),
  })
  .map(({ sinks, recent, free }) => ({ sinks, recent, budget: sinks + recent + free }));

type Step = { do: 'append' | 'truncate' | 'fork' | 'release' | 'restart'; which: number; count: number };
const steps: fc.Arbitrary<Step[]> = fc.array(
  fc.record({
    do: fc.constantFrom('append', 'append', 'append', 'truncate', 'fork', 'release', 'restart'),
    which: fc.nat(3),
    count: fc.oneof(fc.nat(5), fc.nat(160)),
  }),
  { minLength: 1, maxLength: 9 },
);

interface Row {
  readonly position: number;
  readonly value: number;
  /** Of layer 0 and 1, kv head 0 and 1. */
  readonly sums: Float32Array;
}

interface Twin {
  readonly handle: KvSequence;
  rows: Row[];
  length: number;
}

const total = (sums: Float32Array): number => sums.reduce((a, b) => a + b, 0);

/** The rows that are left when a sequence is full: the smallest sums go, the last rows take their places. */
function afterEviction({ rows, length }: Twin, { sinks, recent }: EvictRule): Row[] {
  const gone = new Set(
    rows
      .filter(({ position }) => position >= sinks && position < length - recent)
      .sort((a, b) => total(a.sums) - total(b.sums) || a.position - b.position)
      .slice(0, 16),
  );
  const last = rows.slice(-16).filter((row) => !gone.has(row));
  return rows.slice(0, -16).map((row) => (gone.has(row) ? last.shift()! : row));
}

type Make = typeof createEvictCache;

function play(rule: EvictRule, story: readonly Step[], failAt = -1, make: Make = createEvictCache): number {
  const storage = poisonStorage(Float32Array, failAt);
  const cache: KvCache<Float32Array> = make(LAYOUT, MAX_SEQ, storage, rule);
  const random = testRandom(story.length);
  let twins: Twin[] = [{ handle: cache.create(), rows: [], length: 0 }];

  for (const step of story) {
    const twin = twins[step.which % twins.length]!;
    try {
      switch (step.do) {
        case 'append':
          for (let left = Math.min(step.count, MAX_SEQ - twin.length); left > 0; ) {
            const isFull = twin.rows.length === rule.budget;
            const most = isFull ? 16 : rule.budget - twin.rows.length;
            expect(cache.most(twin.handle)).toBe(most);
            if (twin.length + most < MAX_SEQ) expect(() => cache.reserve(twin.handle, most + 1)).toThrow(ConfigError);
            const count = Math.min(left, most, 1 + Math.floor(random() * 40));
            cache.reserve(twin.handle, count);
            if (isFull) twin.rows = afterEviction(twin, rule);
            const first = twin.length;
            twin.length += count;
            const added = Array.from(
              { length: count },
              (_, t): Row => ({ position: first + t, value: random(), sums: new Float32Array(4) }),
            );
            twin.rows = [...twin.rows, ...added];
            const all = Float32Array.from(added.flatMap(({ value }) => new Array<number>(WIDTH).fill(value)));
            for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
              cache.writeK(twin.handle, layer, first, all);
              cache.writeV(
                twin.handle,
                layer,
                first,
                all.map((x) => -x),
              );
              attend(twin, layer, count);
            }
            left -= count;
          }
          break;
        case 'truncate': {
          const length = Math.max(0, twin.length - step.count);
          const can = length === 0 || length === twin.length;
          expect(cache.canTruncate(twin.handle, length)).toBe(can);
          if (!can) expect(() => cache.truncate(twin.handle, length)).toThrow('start again from 0');
          break;
        }
        case 'restart':
          cache.truncate(twin.handle, 0);
          twin.rows = [];
          twin.length = 0;
          break;
        case 'fork':
          if (twins.length < 3)
            twins.push({
              ...twin,
              rows: twin.rows.map((r) => ({ ...r, sums: r.sums.slice() })),
              handle: cache.fork(twin.handle),
            });
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
    for (const each of twins) check(each);
    expect(cache.bytesInUse).toBe(storage.liveBytes);
  }
  for (const { handle } of twins) cache.release(handle);
  expect(storage.liveBytes).toBe(0);
  return storage.nAllocs;

  /** Two heads a kv head give shares to what the newest rows see: coarse ones, so that sums tie, and of every third position nothing. */
  function attend(twin: Twin, layer: number, count: number): void {
    const nRows = twin.rows.length;
    const share = (i: number): number => Math.floor(2 * random()) * (twin.rows[i % nRows]!.position % 3);
    const p = Float32Array.from({ length: 4 * count * nRows }, (_, i) => share(i));
    const dropped = twin.length - nRows;
    const visible = visibleAt(
      Int32Array.from({ length: count }, (_, t) => twin.length - count + t),
      null,
      dropped,
    );
    cache.attended!(twin.handle, layer, tensor([4, count, nRows], p), visible);
    for (let t = 0; t < count; t++) {
      for (let h = 0; h < 4; h++) {
        for (let s = 0; s < nRows - count + t + 1; s++)
          twin.rows[s]!.sums[2 * layer + (h >> 1)]! += p[(h * count + t) * nRows + s]!;
      }
    }
  }

  function check({ handle, rows, length }: Twin): void {
    expect([cache.length(handle), cache.dropped(handle)]).toEqual([length, length - rows.length]);
    expect(rows.length).toBeLessThanOrEqual(rule.budget);
    for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
      const [keys, values] = [cache.readK(handle, layer), cache.readV(handle, layer)];
      const [k, v] = [1, -1].map((sign) =>
        rows.flatMap(({ value }) => new Array<number>(WIDTH).fill(Math.fround(sign * value))),
      );
      expect([[...keys], [...values]]).toEqual([k, v]);
      for (const run of cache.runs(handle, layer)) {
        for (let i = 0; i < run.count; i++) {
          for (let h = 0; h < 2; h++) {
            expect(storage.at(run.sums! + 4 * (h * 64 + i))).toBe(rows[run.from + i]!.sums[2 * layer + h]);
          }
        }
      }
    }
  }
}

describe('below its budget', () => {
  test('the rows that are left, their order and their sums are those of a plain list', () => {
    fc.assert(
      fc.property(rules, steps, (rule, story) => void play(rule, story)),
      { numRuns: 30, seed: 7 },
    );
  });

  test('an allocation that fails, whichever it is, changes nothing and loses nothing', () => {
    let nFailures = 0;
    fc.assert(
      fc.property(rules, steps, (rule, story) => {
        const nAllocs = play(rule, story.slice(0, 4));
        for (let k = 0; k < nAllocs; k++, nFailures++) play(rule, story.slice(0, 4), k);
      }),
      { numRuns: 6, seed: 8 },
    );
    expect(nFailures).toBeGreaterThan(8);
  });

  test.each([
    ['gives up the newer of equal rows', 'a.position - b.position', 'b.position - a.position'],
    ['protects one position less', 'position >= sinks', 'position >= sinks - 1'],
    ['counts recent rows wrong', 'position < length - recent', 'position <= length - recent'],
    ['gives up what is full too late', 'positions.length === budget', 'positions.length > budget'],
    ['forks without sums', 'if (canEvict) copies.forEach', 'if (!canEvict) copies.forEach'],
    ['loses the sums of a page', 'if (canEvict) storage.free(page.sums);', ''],
    ['shares the positions of a fork', 'positions: [...positions], length', 'positions, length'],
  ])('a copy that %s is caught', async (_, from, to) => {
    const source = new URL('../../src/kvcache/evict.ts', import.meta.url);
    const mutant = await mutatedModule<{ createEvictCache: Make }>(source, { from, to });
    const property = fc.property(rules, steps, (rule, story) => void play(rule, story, -1, mutant.createEvictCache));
    expect(fc.check(property, { numRuns: 40, seed: 7, endOnFailure: true }).failed).toBe(true);
  });
});

describe('options', () => {
  const rule = (o: Partial<EvictOptions>) => evictRuleOf({ kind: 'evict', by: 'importance', budget: 100, ...o });

  test('defaults', () => {
    expect(rule({})).toEqual({ budget: 100, sinks: 4, recent: 42 });
    expect(rule({ budget: 17 })).toEqual({ budget: 17, sinks: 0, recent: 0 });
  });

  test.each<[Partial<EvictOptions>, string]>([
    [{ by: 'luck' as 'importance' }, 'kv-evict is "luck", must be importance'],
    [{ budget: 16 }, 'kv-budget is 16 positions, must be a whole number from 17 on'],
    [{ budget: undefined as unknown as number }, 'say --kv-budget N too'],
    [{ sinks: -1 }, 'sinks is -1, must be a whole number from 0 on'],
    [{ recent: 1.5 }, 'kv-recent is 1.5, must be a whole number from 0 on'],
    [{ sinks: 5, recent: 80 }, 'sinks 5 and kv-recent 80 always stay, of a kv-budget of 100; they must leave 16'],
  ])('%j is refused', (options, message) => {
    expect(() => rule(options)).toThrow(message);
  });

  test.each([
    [{ window: 30 }, 'window 30 does not go with kv-evict'],
    [{ type: 'q8_0' }, 'kv-type q8_0 does not go with kv-evict'],
    [
      { pageSize: 16 },
      'page-size 16 does not go with kv-evict: it is of pages that sequences may share; use --kv paged',
    ],
  ])('with %j it is refused', (options, message) => {
    const all = { kind: 'evict', by: 'importance', budget: 100, ...options } as EvictOptions;
    expect(() => createKvCache(all, LAYOUT, 16, poisonStorage(Float32Array))).toThrow(message);
  });
});
