import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { sha256 } from '../../src/core/sha256.ts';
import { readSessionFile, sessionFile } from '../../src/engine/session_file.ts';
import type { KvCache, KvSequence } from '../../src/kvcache/cache.ts';
import { createKvCache } from '../../src/kvcache/create.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { poisonStorage } from '../kvcache/poison_storage.ts';
import { firstBitDifference } from '../support/bits.ts';
import { memoryScratch } from '../support/memory_scratch.ts';
import { mutatedModule } from '../support/mutated_module.ts';

/**
 * Random histories in which sequences are saved and read back, into their own cache or one of another form, among appends, cuts, forks,
 * releases, pages that are published and given up, and memory that ends: after every step each sequence has the rows of an array.
 */

const LAYOUT = { nLayers: 2, nKvHeads: 1, headDim: 2, elementBytes: 4 } as const;
const WIDTH = LAYOUT.nKvHeads * LAYOUT.headDim;
const VOCAB = 9;
const MAX_SEQ = 120;
const FINGERPRINT = sha256(new TextEncoder().encode('a model'));

const FORMS = (): KvOptions[] => [
  { kind: 'contiguous' },
  { kind: 'paged', pageSize: 16, budget: 320 },
  { kind: 'paged', pageSize: 48 },
  { kind: 'prefix', pageSize: 16, budget: 320 },
  { kind: 'tiered', pageSize: 16, budget: 160, files: memoryScratch() },
];

type What = 'append' | 'truncate' | 'fork' | 'release' | 'save' | 'evict';
const WHAT: readonly What[] = ['append', 'append', 'truncate', 'fork', 'release', 'save', 'save', 'evict'];
interface Step {
  readonly what: What;
  readonly which: number;
  readonly count: number;
  readonly letter: number;
}
const steps = fc.array(
  fc.record({ what: fc.constantFrom(...WHAT), which: fc.nat(7), count: fc.nat(60), letter: fc.nat(VOCAB - 1) }),
  { minLength: 3, maxLength: 12 },
);

/** One sequence: where it is, and what was run. Its rows follow from its ids. */
interface Live {
  readonly cache: number;
  readonly sequence: KvSequence;
  readonly ids: readonly number[];
}

/** As in a model, a row depends on all ids up to its own, and on nothing else. */
function rowOf(ids: readonly number[], position: number, layer: number, which: 0 | 1): number[] {
  let digest = 7 * layer + which + 1;
  for (const id of ids.slice(0, position + 1)) digest = (digest * 31 + id + 1) % 65_521;
  return Array.from({ length: WIDTH }, (_, d) => digest + d / 4);
}

function rowsOf(ids: readonly number[], from: number, layer: number, which: 0 | 1): Float32Array {
  return Float32Array.from(ids.slice(from).flatMap((_, i) => rowOf(ids, from + i, layer, which)));
}

/** Plays the steps over all forms side by side; gives the number of allocations, of which number failAt fails. */
async function play(story: readonly Step[], failAt = -1, restore = readSessionFile): Promise<number> {
  const storage = poisonStorage(Float32Array, failAt);
  const caches = FORMS().map(
    (form): KvCache<Float32Array> => createKvCache({ ...form, debug: true }, LAYOUT, MAX_SEQ, storage),
  );
  const ownerOf = (at: number) => ({ cache: caches[at] as KvCache, fingerprint: FINGERPRINT, vocab: VOCAB });
  let live: Live[] = [];

  const perform = async ({ what, which, count, letter }: Step): Promise<void> => {
    const one = live[which % Math.max(1, live.length)];
    if (one === undefined || live.length < 3) {
      const at = (which + live.length) % caches.length;
      live.push({ cache: at, sequence: caches[at]!.create(), ids: [] });
      return;
    }
    const cache = caches[one.cache]!;
    const become = (next: Live[]): void => {
      live = live.flatMap((other) => (other === one ? next : [other]));
    };
    switch (what) {
      case 'append': {
        const n = Math.min(count, MAX_SEQ - one.ids.length);
        const ids = [...one.ids, ...Array.from({ length: n }, (_, i) => (letter + (i % 2)) % VOCAB)];
        cache.reserve(one.sequence, n);
        for (let layer = 0; layer < LAYOUT.nLayers && n > 0; layer++) {
          cache.writeK(one.sequence, layer, one.ids.length, rowsOf(ids, one.ids.length, layer, 0));
          cache.writeV(one.sequence, layer, one.ids.length, rowsOf(ids, one.ids.length, layer, 1));
        }
        become([{ ...one, ids }]);
        cache.publish?.(one.sequence, ids);
        break;
      }
      case 'truncate':
        cache.truncate(one.sequence, Math.max(0, one.ids.length - count));
        become([{ ...one, ids: one.ids.slice(0, Math.max(0, one.ids.length - count)) }]);
        break;
      case 'fork':
        if (live.length < 7) live.push({ ...one, sequence: cache.fork(one.sequence) });
        break;
      case 'release':
        cache.release(one.sequence);
        become([]);
        break;
      case 'save': {
        if (live.length >= 7) break;
        const file = Buffer.concat([...sessionFile(ownerOf(one.cache), one.sequence, one.ids, 'a note')]);
        const to = (one.cache + count) % caches.length;
        const { ids, note, sequence } = await restore(bufferSource('it', Uint8Array.from(file)), ownerOf(to));
        live.push({ cache: to, sequence, ids });
        expect([ids, note]).toEqual([one.ids, 'a note']);
        break;
      }
      case 'evict':
        cache.evict?.(1 + (count % 4));
        break;
      default:
        what satisfies never;
    }
  };

  for (const step of story) {
    try {
      await perform(step);
    } catch (error) {
      if (!(error instanceof CapacityError)) throw error;
    }
    for (const [at, cache] of caches.entries()) {
      const own = live.filter((one) => one.cache === at);
      expect(cache.stats().nSequences).toBe(own.length); // a restore that failed has left nothing
      for (const { sequence, ids } of own) {
        expect(cache.length(sequence)).toBe(ids.length);
        for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
          expect(firstBitDifference(cache.readK(sequence, layer), rowsOf(ids, 0, layer, 0))).toBe(-1);
          expect(firstBitDifference(cache.readV(sequence, layer), rowsOf(ids, 0, layer, 1))).toBe(-1);
        }
      }
    }
  }
  for (const { cache, sequence } of live) caches[cache]!.release(sequence);
  for (const cache of caches) cache.evict?.(Number.POSITIVE_INFINITY);
  expect(storage.liveBytes).toBe(0);
  return storage.nAllocs;
}

describe('saved and restored among all else', () => {
  test('every sequence has its rows, in every form', async () => {
    await fc.assert(
      fc.asyncProperty(steps, async (story) => void (await play(story))),
      { numRuns: 40, seed: 7 },
    );
  });

  test('an allocation that fails, whichever it is, changes nothing and loses nothing', async () => {
    let nFailures = 0;
    const property = fc.asyncProperty(steps, async (story) => {
      const nAllocs = await play(story);
      for (let k = 0; k < nAllocs; k++, nFailures++) await play(story, k);
    });
    await fc.assert(property, { numRuns: 16, seed: 8 });
    expect(nFailures).toBeGreaterThan(20);
  });

  test('and a restore that writes keys where values belong is caught', async () => {
    const source = new URL('../../src/engine/session_file.ts', import.meta.url);
    const wrong = { from: '[cache.writeK, cache.writeV]', to: '[cache.writeV, cache.writeK]' };
    const mutant = await mutatedModule<{ readSessionFile: typeof readSessionFile }>(source, wrong);
    const property = fc.asyncProperty(steps, async (story) => void (await play(story, -1, mutant.readSessionFile)));
    expect((await fc.check(property, { numRuns: 40, seed: 7, endOnFailure: true })).failed).toBe(true);
  });
});
