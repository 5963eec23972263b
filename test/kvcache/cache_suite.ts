import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { type History, histories, type MakeCache, playHistory } from './history.ts';
import { poisonStorage } from './poison_storage.ts';

/** How many histories, and how long. */
export interface HistoryRuns {
  readonly numRuns: number;
  readonly maxSteps: number;
  readonly maxSeq: number;
  /** The same for histories that are played once for each of their allocations. */
  readonly nFailing: number;
  readonly maxFailingSteps: number;
  /** Texts begin alike, and pages are found again. */
  readonly hasPrefixes?: boolean;
}

const SHORT: HistoryRuns = { numRuns: 20, maxSteps: 14, maxSeq: 700, nFailing: 8, maxFailingSteps: 6 };
const SEED = 7;
const LAYOUT = { nLayers: 2, nKvHeads: 2, headDim: 3, elementBytes: 4 } as const;

/** What every form of the cache is held to: the same histories as `contiguous`, the definition. */
export function describeCache(name: string, makeCache: MakeCache, hasPrefixes = false): void {
  describeHistories(name, makeCache, { ...SHORT, hasPrefixes });
  describeMutants(name, makeCache);
  describeMisuse(name, makeCache);
}

/** The part of it that says more when it runs longer. */
export function describeHistories(name: string, makeCache: MakeCache, runs: HistoryRuns): void {
  describe(`${name}: histories`, () => {
    test('every history equals the model, and ends with nothing held', () => {
      fc.assert(
        fc.property(
          histories(runs.maxSteps, runs.maxSeq, runs.hasPrefixes),
          (history) => void playHistory(makeCache, history),
        ),
        { numRuns: runs.numRuns, seed: SEED },
      );
    });

    test('an allocation that fails, whichever it is, changes nothing and loses nothing', () => {
      let nFailures = 0;
      fc.assert(
        fc.property(histories(runs.maxSteps, runs.maxSeq, runs.hasPrefixes), (history) => {
          const short: History = { ...history, steps: history.steps.slice(0, runs.maxFailingSteps) };
          const nAllocs = playHistory(makeCache, short);
          for (let k = 0; k < nAllocs; k++, nFailures++) playHistory(makeCache, short, k);
        }),
        { numRuns: runs.nFailing, seed: SEED },
      );
      expect(nFailures).toBeGreaterThan(runs.nFailing / 2);
    });
  });
}

function describeMutants(name: string, makeCache: MakeCache): void {
  describe(`${name}: histories tell wrong caches apart`, () => {
    test.each(Object.entries(MUTANTS))('a mutant is caught: %s', (_what, mutant) => {
      const property = fc.property(histories(SHORT.maxSteps, SHORT.maxSeq), (history) => {
        const play = (failAt?: number) =>
          playHistory((layout, maxSeq, storage) => mutant(makeCache(layout, maxSeq, storage)), history, failAt);
        const nAllocs = play();
        if (nAllocs > 1) play(nAllocs - 1);
      });
      expect(fc.check(property, { numRuns: 150, seed: SEED }).failed).toBe(true);
    });
  });
}

function describeMisuse(name: string, makeCache: MakeCache): void {
  describe(`${name}: misuse`, () => {
    const start = () => {
      const cache = makeCache(LAYOUT, 40, poisonStorage(Float32Array));
      const sequence = cache.create();
      cache.reserve(sequence, 5);
      return { cache, sequence, rows: (n: number) => new Float32Array(n * LAYOUT.nKvHeads * LAYOUT.headDim) };
    };
    const WRONG: [what: string, misuse: (s: ReturnType<typeof start>) => unknown, message: RegExp][] = [
      [
        'rows beyond what is reserved',
        ({ cache, sequence, rows }) => cache.writeK(sequence, 0, 4, rows(2)),
        /rows 4..6 are reserved/,
      ],
      ['rows before the first', ({ cache, sequence, rows }) => cache.writeV(sequence, 0, -1, rows(1)), /reserved/],
      ['rows between positions', ({ cache, sequence, rows }) => cache.writeV(sequence, 0, 0.5, rows(1)), /reserved/],
      ['half a row', ({ cache, sequence }) => cache.writeK(sequence, 0, 0, new Float32Array(5)), /reserved/],
      [
        'a layer that is not there',
        ({ cache, sequence, rows }) => cache.writeK(sequence, 2, 0, rows(1)),
        /layer 2 is within 0..1/,
      ],
      ['reading such a layer', ({ cache, sequence }) => cache.readV(sequence, 2), /layer 2 is within 0..1/],
      ['runs of such a layer', ({ cache, sequence }) => cache.runs(sequence, -1), /layer -1 is within 0..1/],
      [
        'a released sequence',
        ({ cache, sequence }) => {
          cache.release(sequence);
          cache.length(sequence);
        },
        /not released/,
      ],
      [
        'releasing twice',
        ({ cache, sequence }) => {
          cache.release(sequence);
          cache.release(sequence);
        },
        /not released/,
      ],
      ['a sequence of another cache', ({ cache }) => cache.readK(start().sequence, 0), /belongs to this cache/],
      [
        'no positions at all',
        () => makeCache(LAYOUT, 0, poisonStorage(Float32Array)),
        /maxSeq is 0, must be a positive integer/,
      ],
    ];
    test.each(WRONG)('%s', (_what, misuse, message) => expect(() => misuse(start())).toThrow(message));

    test('a full cache says what to do', () => {
      const { cache, sequence } = start();
      expect(() => cache.reserve(sequence, 36)).toThrow(
        'kv cache: position 40 does not fit maxSeq=40; raise --max-seq or shorten the prompt',
      );
    });
  });
}

type Mutant = <A extends Float32Array | Float64Array>(cache: KvCache<A>) => KvCache<A>;

/** The cache with some of its methods replaced. */
function replacing<A extends Float32Array | Float64Array>(cache: KvCache<A>, methods: Partial<KvCache<A>>): KvCache<A> {
  return Object.defineProperties(
    {},
    {
      ...Object.getOwnPropertyDescriptors(cache),
      ...Object.getOwnPropertyDescriptors(methods),
    },
  ) as KvCache<A>;
}

/** Wrong caches, made from right ones: the histories must tell them apart. */
const MUTANTS: Readonly<Record<string, Mutant>> = {
  'truncate does not shorten': (cache) => replacing(cache, { truncate() {} }),
  'truncate shortens by one more': (cache) =>
    replacing(cache, { truncate: (sequence, length) => cache.truncate(sequence, Math.max(0, length - 1)) }),
  'fork shares the rows': (cache) => {
    // Handles of forks lead to the sequence that they were forked from.
    const origins = new Map<KvSequence, KvSequence>();
    const of = (sequence: KvSequence): KvSequence => origins.get(sequence) ?? sequence;
    let nShared = 0;
    return replacing(cache, {
      fork(sequence) {
        const handle = { id: -1 - nShared++ };
        origins.set(handle, of(sequence));
        return handle;
      },
      length: (s) => cache.length(of(s)),
      reserve: (s, n) => cache.reserve(of(s), n),
      truncate: (s, n) => cache.truncate(of(s), n),
      writeK: (s, layer, from, k) => cache.writeK(of(s), layer, from, k),
      writeV: (s, layer, from, v) => cache.writeV(of(s), layer, from, v),
      readK: (s, layer) => cache.readK(of(s), layer),
      readV: (s, layer) => cache.readV(of(s), layer),
      runs: (s, layer) => cache.runs(of(s), layer),
      release: (s) => (origins.has(s) ? void origins.delete(s) : cache.release(s)),
    });
  },
  'growing loses the last block': (cache) =>
    replacing(cache, {
      reserve(sequence, count) {
        const before = cache.bytesInUse;
        const length = cache.length(sequence);
        const last = length - 1;
        cache.reserve(sequence, count);
        if (cache.bytesInUse === before || length === 0) return;
        const { nKvHeads, headDim } = cache.layout;
        const keys = cache.readK(sequence, 0);
        cache.writeK(sequence, 0, last, keys.slice(0, nKvHeads * headDim).fill(0) as typeof keys);
      },
    }),
  'a reserve that fails forgets the rows': (cache) =>
    replacing(cache, {
      reserve(sequence, count) {
        try {
          cache.reserve(sequence, count);
        } catch (e) {
          cache.truncate(sequence, 0);
          throw e;
        }
      },
    }),
  'release keeps the memory': (cache) => replacing(cache, { release() {} }),
  'V is written to the first layer': (cache) =>
    replacing(cache, { writeV: (sequence, _layer, from, v) => cache.writeV(sequence, 0, from, v) }),
  'rows are written one position late': (cache) =>
    replacing(cache, {
      writeK: (sequence, layer, from, k) =>
        cache.writeK(sequence, layer, Math.min(from + 1, cache.length(sequence) - rowsIn(cache, k)), k),
    }),
  'runs starts one element late': (cache) =>
    replacing(cache, {
      runs: (sequence, layer) =>
        cache.runs(sequence, layer).map((run) => ({ ...run, kAddress: run.kAddress + cache.layout.elementBytes })),
    }),
  'runs forgets that heads lie apart': (cache) =>
    replacing(cache, {
      runs: (sequence, layer) => cache.runs(sequence, layer).map((run) => ({ ...run, headStride: 0 })),
    }),
  'runs ends one position early': (cache) =>
    replacing(cache, {
      runs: (sequence, layer) => cache.runs(sequence, layer).map((run) => ({ ...run, count: run.count - 1 })),
    }),
};

function rowsIn<A extends Float32Array | Float64Array>({ layout }: KvCache<A>, rows: A): number {
  return rows.length / (layout.nKvHeads * layout.headDim);
}
