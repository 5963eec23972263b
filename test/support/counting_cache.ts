import { CapacityError } from '../../src/core/errors.ts';
import { checkBatch, type Executor } from '../../src/exec/executor.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';

/** A cache of pages that stores one number, the token id, for each position: all that a fake executor needs. */
export interface CountingCache extends KvCache {
  rowsOf(sequence: KvSequence): number[];
  /** Every call that takes memory asks it first; true: there is none. */
  failsNow: () => boolean;
}

export interface CountingOptions {
  readonly maxSeq: number;
  readonly pageSize: number;
  /** Infinity: as many as are wanted. */
  readonly nPages: number;
}

export function createCountingCache({ maxSeq, pageSize, nPages }: CountingOptions): CountingCache {
  const sequences = new Map<KvSequence, number[]>();
  let nextId = 0;
  const pagesOf = (length: number): number => Math.ceil(length / pageSize);
  const inUse = (): number => [...sequences.values()].reduce((sum, rows) => sum + pagesOf(rows.length), 0);
  const need = (more: number): void => {
    if (cache.failsNow() || inUse() + more > nPages) throw new CapacityError(`kv cache: ${nPages} pages are taken`);
  };
  const rowsOf = (sequence: KvSequence): number[] => {
    const rows = sequences.get(sequence);
    if (rows === undefined) throw new Error(`sequence ${sequence.id} is not there`);
    return rows;
  };
  const unused = (): never => {
    throw new Error('a scheduler does not call this');
  };
  const cache: CountingCache = {
    layout: { nLayers: 1, nKvHeads: 1, headDim: 1, elementBytes: 4 },
    maxSeq,
    window: null,
    codes: null,
    dropped: () => 0,
    most: () => Infinity,
    canTruncate: () => true,
    failsNow: () => false,
    rowsOf,
    create() {
      need(0);
      const sequence = { id: nextId++ };
      sequences.set(sequence, []);
      return sequence;
    },
    length: (sequence) => rowsOf(sequence).length,
    reserve(sequence, count) {
      const rows = rowsOf(sequence);
      if (rows.length + count > maxSeq) throw new CapacityError(`kv cache: does not fit maxSeq=${maxSeq}`);
      need(pagesOf(rows.length + count) - pagesOf(rows.length));
      for (let i = 0; i < count; i++) rows.push(-1); // undefined until written
    },
    truncate(sequence, length) {
      rowsOf(sequence).length = length;
    },
    fork(sequence) {
      const rows = rowsOf(sequence);
      need(pagesOf(rows.length));
      const fork = { id: nextId++ };
      sequences.set(fork, [...rows]);
      return fork;
    },
    release(sequence) {
      rowsOf(sequence);
      sequences.delete(sequence);
    },
    get bytesInUse() {
      return sequences.size === 0 ? 0 : 4 + 4 * inUse() * pageSize; // an empty sequence counts too
    },
    prepare: unused,
    stats: unused,
    writeK: unused,
    writeV: unused,
    readK: unused,
    readV: unused,
    runs: unused,
  };
  return cache;
}

export const FAKE_VOCAB = 7;

/** What a fake model says after `ids`: numbers that depend on every one of them and on their order. */
export function fakeLogits(ids: readonly number[]): number[] {
  let hash = 2166136261;
  for (const id of ids) hash = Math.imul(hash ^ (id + 1), 16777619) >>> 0;
  return Array.from({ length: FAKE_VOCAB }, (_, v) => (Math.imul(hash, 2 * v + 1) >>> 8) / 2 ** 24);
}

/** An executor whose logits depend on what the cache holds, so that a lost, doubled or foreign row shows. */
export function createFakeExecutor(): Pick<Executor, 'run'> & {
  nTokens: number;
  largest: number;
  failsNow: () => boolean;
} {
  const executor = {
    nTokens: 0,
    largest: 0,
    failsNow: () => false,
    run: ((batch, cache) => {
      checkBatch(batch, cache, FAKE_VOCAB);
      if (executor.failsNow()) throw new CapacityError('scratch: no room for such a step');
      executor.nTokens += batch.ids.length;
      executor.largest = Math.max(executor.largest, batch.ids.length);
      const { rowsOf } = cache as CountingCache;
      for (const { sequence, from, count } of batch.segments) {
        for (let r = from; r < from + count; r++) rowsOf(sequence)[batch.positions[r]!] = batch.ids[r]!;
      }
      const data = Array.from(batch.outRows).flatMap((row) => {
        const segment = batch.segments.find(({ from, count }) => row >= from && row < from + count)!;
        return fakeLogits(rowsOf(segment.sequence).slice(0, batch.positions[row]! + 1));
      });
      return { vocab: FAKE_VOCAB, data: Float64Array.from(data) };
    }) satisfies Executor['run'],
  };
  return executor;
}
