import fc from 'fast-check';
import { expect } from 'vitest';
import { CapacityError, ConfigError } from '../../src/core/errors.ts';
import type { KvCache, KvRun, KvSequence, KvStorage } from '../../src/kvcache/cache.ts';
import { codedBytes, type KvCode, unpackRow } from '../../src/kvcache/coded_rows.ts';
import { type KvLayout, kIndex, LANE_POSITIONS, roundUpToBlock, vIndex } from '../../src/kvcache/layout.ts';
import { PAGE_POSITIONS } from '../../src/kvcache/row_pages.ts';
import { typedPositionBytes } from '../../src/kvcache/typed_rows.ts';
import { FORMATS } from '../../src/quant/formats.ts';
import { type PoisonStorage, poisonStorage } from './poison_storage.ts';

/** Random histories of a KV cache, replayed against the simplest model there is: for each sequence, an array of rows. */

type Floats = Float32Array | Float64Array;

/** Makes the form under test. */
export type MakeCache = <A extends Floats>(layout: KvLayout, maxSeq: number, storage: KvStorage<A>) => KvCache<A>;

/** `which` picks one of the live sequences, modulo their number. */
export type Step =
  | { readonly do: 'create' }
  | {
      readonly do: 'append';
      readonly which: number;
      readonly count: number;
      readonly pieces: number;
      readonly letter: number;
    }
  | { readonly do: 'publish'; readonly which: number }
  | { readonly do: 'adopt'; readonly which: number; readonly more: number; readonly letter: number }
  | { readonly do: 'evict'; readonly count: number }
  | { readonly do: 'truncate'; readonly which: number; readonly keep: number }
  | { readonly do: 'take back'; readonly which: number; readonly count: number }
  | { readonly do: 'fork'; readonly which: number }
  | { readonly do: 'release'; readonly which: number }
  | { readonly do: 'rewrite'; readonly which: number; readonly at: number; readonly count: number }
  | { readonly do: 'refuse'; readonly which: number };

export interface History {
  readonly layout: KvLayout;
  readonly maxSeq: number;
  readonly steps: readonly Step[];
}

const which = fc.nat(5);
/** With few letters texts begin alike. */
const letter = fc.nat(1);
/** Around the edges of a block of positions, and far enough to make any form grow. */
const count = fc.oneof(
  fc.constantFrom(0, 1, LANE_POSITIONS - 1, LANE_POSITIONS, LANE_POSITIONS + 1),
  fc.integer({ min: 0, max: 40 }),
  fc.constantFrom(120, 255, 256, 257, 300),
);

const step: fc.Arbitrary<Step> = fc.oneof(
  { weight: 1, arbitrary: fc.constant({ do: 'create' as const }) },
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant('append' as const),
      which,
      count,
      pieces: fc.integer({ min: 1, max: 3 }),
      letter,
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant('truncate' as const),
      which,
      keep: fc.double({ min: 0, max: 1, noNaN: true }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('take back' as const), which, count }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('fork' as const), which }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which }) },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('rewrite' as const),
      which,
      at: fc.nat(),
      count: fc.integer({ min: 1, max: 40 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('refuse' as const), which }) },
);

/** What forms that find pages again can do besides; with sizes at which whole texts end with a page. */
const prefixStep: fc.Arbitrary<Step> = fc.oneof(
  { weight: 2, arbitrary: fc.record({ do: fc.constant('publish' as const), which }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('adopt' as const),
      which,
      more: fc.oneof(fc.constantFrom(0, LANE_POSITIONS, 3 * LANE_POSITIONS), fc.nat(40)),
      letter,
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('evict' as const), count: fc.nat(4) }) },
);

/** Histories of up to `maxSteps` steps, in caches of small sizes up to `maxSeq` positions. */
export const histories = (maxSteps: number, maxSeq: number, hasPrefixes = false): fc.Arbitrary<History> =>
  fc.record({
    layout: fc.record({
      nLayers: fc.integer({ min: 1, max: 2 }),
      nKvHeads: fc.integer({ min: 1, max: 2 }),
      headDim: fc.constantFrom(1, 2, 3),
      elementBytes: fc.constantFrom(4, 8),
    }),
    maxSeq: fc.constantFrom(1, 17, 250, maxSeq),
    steps: fc.array(hasPrefixes ? fc.oneof(step, prefixStep) : step, { minLength: 1, maxLength: maxSteps }),
  });

/** One sequence of the model: a row is its K and V numbers of all layers, [layer][K or V][nKvHeads * headDim]. */
interface Twin {
  readonly handle: KvSequence;
  rows: number[][][][];
  /** What its rows were computed from; undefined when some were written over. */
  ids: readonly number[] | undefined;
}

/**
 * Plays a history on a fresh cache and on the model, compares after every step, and releases everything at the end.
 * failAt: number of the allocation that fails; then the step must have changed nothing, and the rest of the history goes on.
 * A cache of coded pages gives rows back as they were rounded when they were written. Returns the number of allocations.
 */
export function playHistory(makeCache: MakeCache, history: History, failAt = -1): number {
  return history.layout.elementBytes === 4
    ? play(makeCache, history, poisonStorage(Float32Array, failAt), Float32Array)
    : play(makeCache, history, poisonStorage(Float64Array, failAt), Float64Array);
}

function play<A extends Floats>(
  makeCache: MakeCache,
  { layout, maxSeq, steps }: History,
  storage: PoisonStorage<A>,
  make: new (n: number) => A,
): number {
  const cache = makeCache(layout, maxSeq, storage);
  const twins: Twin[] = [];
  const texts: (readonly number[])[] = []; // every text that was ever published
  const hasPrefixes = cache.publish !== undefined;
  let nextNumber = 1; // every number that is ever stored is another one, exact in f32
  const row = (): number[][][] =>
    Array.from({ length: layout.nLayers }, () =>
      [0, 1].map(() => Array.from({ length: layout.nKvHeads * layout.headDim }, () => nextNumber++)),
    );
  const flat = (rows: readonly number[][][][], layer: number, kOrV: 0 | 1): A => {
    const numbers = rows.flatMap((r) => r[layer]![kOrV]!);
    const data = new make(numbers.length);
    data.set(numbers);
    return data;
  };

  /** As in a model, rows depend on all ids up to theirs, and on nothing else. */
  const known = new Map<string, number[][][]>();
  const rowAfter = (ids: readonly number[]): number[][][] => {
    const name = ids.join();
    const there = known.get(name) ?? row();
    known.set(name, there);
    return there;
  };

  const stored = (rows: readonly number[][][][], layer: number, kOrV: 0 | 1): A => {
    const data = flat(rows, layer, kOrV);
    const code = codeOf(cache);
    if (code !== null) round(code, data);
    return data;
  };

  const append = (twin: Twin, n: number, nPieces: number, id: number): void => {
    const first = cache.length(twin.handle);
    cache.reserve(twin.handle, n);
    const ids = twin.ids === undefined ? undefined : [...twin.ids, ...new Array<number>(n).fill(id)];
    const added = Array.from({ length: n }, (_, i) =>
      hasPrefixes && ids !== undefined ? rowAfter(ids.slice(0, first + i + 1)) : row(),
    );
    const size = Math.max(1, Math.ceil(n / nPieces));
    for (let layer = layout.nLayers - 1; layer >= 0; layer--) {
      for (let from = 0; from < n; from += size) {
        const piece = added.slice(from, from + size);
        cache.writeK(twin.handle, layer, first + from, flat(piece, layer, 0));
        cache.writeV(twin.handle, layer, first + from, flat(piece, layer, 1));
      }
    }
    twin.rows = [...twin.rows, ...added];
    twin.ids = ids;
  };

  const perform = (s: Step): void => {
    if (s.do === 'create') {
      twins.push({ handle: cache.create(), rows: [], ids: [] });
      return;
    }
    if (s.do === 'evict') {
      cache.evict?.(s.count);
      return;
    }
    const at = s.which % Math.max(1, twins.length);
    const twin = twins[at];
    if (twin === undefined) return;
    const { handle } = twin;
    const room = maxSeq - twin.rows.length;
    switch (s.do) {
      case 'append':
        append(twin, Math.min(s.count, room), s.pieces, s.letter);
        break;
      case 'truncate': {
        const keep = Math.floor(s.keep * twin.rows.length);
        cache.truncate(handle, keep);
        twin.rows = twin.rows.slice(0, keep);
        twin.ids = twin.ids?.slice(0, keep);
        break;
      }
      case 'take back': {
        const n = Math.min(s.count, room);
        cache.reserve(handle, n);
        cache.truncate(handle, twin.rows.length);
        break;
      }
      case 'fork':
        twins.push({ handle: cache.fork(handle), rows: twin.rows, ids: twin.ids });
        break;
      case 'release':
        cache.release(handle);
        twins.splice(at, 1);
        break;
      case 'rewrite': {
        const at = s.at % (twin.rows.length + 1);
        const rows = Array.from({ length: Math.min(s.count, twin.rows.length - at) }, row);
        for (let layer = 0; layer < layout.nLayers; layer++) {
          cache.writeK(handle, layer, at, flat(rows, layer, 0));
          cache.writeV(handle, layer, at, flat(rows, layer, 1));
        }
        twin.rows = twin.rows.map((old, i) => rows[i - at] ?? old);
        if (rows.length > 0) twin.ids = undefined;
        break;
      }
      case 'publish':
        if (twin.ids === undefined || cache.publish === undefined) break;
        cache.publish(handle, twin.ids);
        texts.push(twin.ids);
        break;
      case 'adopt': {
        if (cache.adoptPrefix === undefined) break;
        const text = [
          ...(texts[s.which % Math.max(1, texts.length)] ?? []),
          ...new Array<number>(s.more).fill(s.letter),
        ];
        const reader = cache.create();
        const n = cache.adoptPrefix(reader, text);
        expect(n).toBeLessThan(Math.max(1, text.length));
        expect(n % cache.stats().pages!.size).toBe(0);
        const ids = text.slice(0, n);
        const read: Twin = { handle: reader, rows: ids.map((_, i) => rowAfter(ids.slice(0, i + 1))), ids };
        twins.push(read);
        for (const id of text.slice(n, maxSeq)) append(read, 1, 1, id);
        cache.publish!(reader, read.ids!);
        texts.push(read.ids!);
        break;
      }
      case 'refuse':
        expect(() => cache.reserve(handle, room + 1)).toThrow(CapacityError);
        expect(() => cache.reserve(handle, -1)).toThrow(ConfigError);
        expect(() => cache.reserve(handle, 0.5)).toThrow(ConfigError);
        expect(() => cache.reserve(handle, NaN)).toThrow(ConfigError);
        expect(() => cache.truncate(handle, twin.rows.length + 1)).toThrow(ConfigError);
        expect(() => cache.truncate(handle, -1)).toThrow(ConfigError);
        break;
      default:
        s satisfies never;
    }
  };

  const compare = (): void => {
    for (const { handle, rows } of twins) {
      expect(cache.length(handle)).toBe(rows.length);
      for (let layer = 0; layer < layout.nLayers; layer++) {
        const k = stored(rows, layer, 0);
        const v = stored(rows, layer, 1);
        expect(sameNumbers(cache.readK(handle, layer), k), `K of layer ${layer}`).toBe(true);
        expect(sameNumbers(cache.readV(handle, layer), v), `V of layer ${layer}`).toBe(true);
        compareRuns(cache, handle, layer, k, v, storage);
      }
    }
    expect(cache.bytesInUse).toBe(storage.liveBytes);
    compareStats(
      cache,
      twins.map(({ rows }) => rows.length),
    );
  };

  for (const s of [{ do: 'create' } as const, ...steps]) {
    try {
      perform(s);
    } catch (e) {
      if (!(e instanceof CapacityError && /as planned|more pages of \d+ positions do not fit/.test(e.message))) throw e;
    }
    compare();
  }
  for (const { handle } of twins) cache.release(handle);
  cache.evict?.(Infinity);
  expect(cache.bytesInUse).toBe(0);
  expect(storage.liveBytes).toBe(0);
  return storage.nAllocs;
}

/** Every page that is held is a sequence's, or free: none is lost, and none counted twice. */
function compareStats<A extends Floats>(cache: KvCache<A>, lengths: readonly number[]): void {
  const { nSequences, nPositions, nBytes, pages } = cache.stats();
  expect(nSequences).toBe(lengths.length);
  expect(nPositions).toBe(lengths.reduce((a, b) => a + b, 0));
  expect(nBytes).toBe(cache.bytesInUse);
  if (pages === undefined) return;
  const pageBytes = pages.size * typedPositionBytes(cache.layout, codeOf(cache) ?? 'f32');
  expect((pages.nUsed + pages.nKept + pages.nFree) * pageBytes).toBe(nBytes);
  expect(pages.nUsed + pages.nKept).toBeLessThanOrEqual(pages.nMost);
  const users = new Map<number, number>();
  for (const table of pages.tables) {
    expect(table.pages).toHaveLength(Math.ceil(table.length / pages.size));
    for (const page of table.pages) if (page >= 0) users.set(page, (users.get(page) ?? 0) + 1);
  }
  expect(pages.nUsed).toBe(users.size);
  expect(pages.nShared).toBe([...users.values()].filter((n) => n > 1).length);
}

/** Reads every row in place, by the addresses that `runs` states. */
function compareRuns<A extends Floats>(
  cache: KvCache<A>,
  handle: KvSequence,
  layer: number,
  k: A,
  v: A,
  storage: PoisonStorage<A>,
): void {
  const { nKvHeads, headDim, elementBytes } = cache.layout;
  let next = 0;
  for (const run of cache.runs(handle, layer)) {
    const { from, count: n, kAddress, vAddress, headStride } = run;
    expect(from).toBe(next);
    expect(from % LANE_POSITIONS).toBe(0);
    expect(n).toBeGreaterThan(0);
    expect(run.rows).toBe(codeOf(cache) ?? 'f32');
    next += n;
    if (codeOf(cache) !== null) {
      compareCodes(cache, run, storage, [k, v]);
      continue;
    }
    for (let p = 0; p < n; p++) {
      for (let h = 0; h < nKvHeads; h++) {
        for (let d = 0; d < headDim; d++) {
          const index = ((from + p) * nKvHeads + h) * headDim + d;
          const kAt = kAddress + h * headStride + kIndex(headDim, p, d) * elementBytes;
          const vAt = vAddress + h * headStride + vIndex(headDim, p, d) * elementBytes;
          if (storage.at(kAt) !== k[index] || storage.at(vAt) !== v[index]) {
            throw new Error(`position ${from + p}, head ${h}, element ${d} is not where runs() says`);
          }
        }
      }
    }
  }
  expect(next).toBe(cache.length(handle));
}

/** The same of a run of codes: no longer than what a kernel unpacks at a time. */
function compareCodes<A extends Floats>(
  cache: KvCache<A>,
  { from, count, kAddress, vAddress, headStride }: KvRun,
  storage: PoisonStorage<A>,
  rows: readonly [A, A],
): void {
  const { nKvHeads, headDim } = cache.layout;
  const code = cache.codes!;
  expect(count).toBeLessThanOrEqual(PAGE_POSITIONS);
  const got = new Float32Array(headDim);
  for (const which of [0, 1] as const) {
    for (let h = 0; h < nKvHeads; h++) {
      const address = (which === 0 ? kAddress : vAddress) + h * headStride;
      const stretch = storage.bytesAt(address, codedBytes(code, headDim, roundUpToBlock(count)));
      for (let p = 0; p < count; p++) {
        unpackRow(code, which, headDim, stretch, 0, p, got, 0);
        const first = ((from + p) * nKvHeads + h) * headDim;
        if (got.some((x, d) => x !== rows[which][first + d])) {
          throw new Error(`position ${from + p}, head ${h} is not where runs() says`);
        }
      }
    }
  }
}

/** How all rows are stored; null for f32, and for forms whose histories are too short for a page to turn cold. */
function codeOf<A extends Floats>(cache: KvCache<A>): KvCode | null {
  return cache.stats().pages === undefined ? null : cache.codes;
}

/** What rows of whole blocks become in a type of codes. */
function round(code: KvCode, rows: Floats): void {
  const block = new Float32Array(32);
  const bytes = new Uint8Array(FORMATS[code].blockBytes);
  for (let from = 0; from < rows.length; from += block.length) {
    for (let i = 0; i < block.length; i++) block[i] = rows[from + i]!;
    FORMATS[code].pack(block, 0, block.length, bytes, 0);
    FORMATS[code].unpack(bytes, 0, block, 0, block.length);
    rows.set(block, from);
  }
}

/** Same length, same numbers; NaN equals nothing. */
function sameNumbers(a: Floats, b: Floats): boolean {
  return a.length === b.length && a.constructor === b.constructor && a.every((x, i) => x === b[i]);
}
