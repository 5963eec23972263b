import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isGlassformerError } from '../../src/core/errors.ts';
import { bufferSource } from '../../src/core/host.ts';
import { SHA256_BYTES, sha256 } from '../../src/core/sha256.ts';
import type { Model } from '../../src/engine/model.ts';
import { readSessionFile, type SessionOwner, sessionFile } from '../../src/engine/session_file.ts';
import { loadModel } from '../../src/index.node.ts';
import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { heapStorage } from '../../src/kvcache/heap_storage.ts';
import { firstDifference } from '../support/executors.ts';
import { bytesOf } from '../support/pieces.ts';

const LAYOUT = { nLayers: 2, nKvHeads: 1, headDim: 2, elementBytes: 4 } as const;
const VOCAB = 100;

function createOwner(maxSeq = 600, seed = 'a model'): SessionOwner {
  const cache = createContiguousCache(LAYOUT, maxSeq, heapStorage(Float32Array));
  return { cache, fingerprint: sha256(new TextEncoder().encode(seed)), vocab: VOCAB };
}

/** A sequence whose every number is another one. */
function filled({ cache }: SessionOwner, nIds: number) {
  const sequence = cache.create();
  cache.reserve(sequence, nIds);
  for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
    const rows = (start: number) =>
      Float32Array.from({ length: nIds * LAYOUT.headDim }, (_, i) => start + layer * 1e4 + i);
    cache.writeK(sequence, layer, 0, rows(0.5));
    cache.writeV(sequence, layer, 0, rows(-0.25));
  }
  return { sequence, ids: Array.from({ length: nIds }, (_, i) => (7 * i) % VOCAB) };
}

function fileOf(owner: SessionOwner, nIds: number, note = ''): Uint8Array<ArrayBuffer> {
  const { sequence, ids } = filled(owner, nIds);
  return Uint8Array.from(Buffer.concat([...sessionFile(owner, sequence, ids, note)]));
}

const read = (bytes: Uint8Array, owner: SessionOwner) => readSessionFile(bufferSource('it', bytes), owner);

describe('a file', () => {
  test.each([0, 1, 16, 255, 256, 257, 513])('gives back %i positions as they were', async (nIds) => {
    const owner = createOwner();
    const { sequence, ids } = filled(owner, nIds);
    const bytes = Uint8Array.from(Buffer.concat([...sessionFile(owner, sequence, ids, 'näher')]));
    const other = createOwner();
    const saved = await read(bytes, other);
    expect([saved.ids, saved.note, other.cache.length(saved.sequence)]).toEqual([ids, 'näher', nIds]);
    for (let layer = 0; layer < LAYOUT.nLayers; layer++) {
      expect(other.cache.readK(saved.sequence, layer)).toEqual(owner.cache.readK(sequence, layer));
      expect(other.cache.readV(saved.sequence, layer)).toEqual(owner.cache.readV(sequence, layer));
    }
  });

  test('with any byte changed, or cut anywhere, is refused, and leaves nothing in the cache', async () => {
    const bytes = fileOf(createOwner(), 3, 'note');
    const owner = createOwner();
    const refuses = async (damaged: Uint8Array, what: string) => {
      const error = await read(damaged, owner).then(
        () => undefined,
        (e: unknown) => e,
      );
      expect(isGlassformerError(error), `${what}: ${String(error)}`).toBe(true);
      expect(owner.cache.bytesInUse, what).toBe(0);
    };
    for (let i = 0; i < bytes.length; i++) {
      for (const bit of [0, 7]) {
        const damaged = bytes.slice();
        damaged[i] = damaged[i]! ^ (1 << bit);
        await refuses(damaged, `bit ${bit} of byte ${i}`);
      }
      await refuses(bytes.subarray(0, i), `cut at ${i}`);
    }
    await refuses(Uint8Array.from([...bytes, 0]), 'a byte more');
  });

  test('whose stretches changed places is refused, each of them being whole', async () => {
    const bytes = fileOf(createOwner(), 512);
    const stretch = 256 * LAYOUT.headDim * 4 + SHA256_BYTES;
    const first = bytes.length - 4 * LAYOUT.nLayers * stretch;
    const swapped = bytes.slice();
    swapped.set(bytes.subarray(first, first + stretch), first + stretch);
    swapped.set(bytes.subarray(first + stretch, first + 2 * stretch), first);
    await expect(read(swapped, createOwner())).rejects.toThrow(/do not have their checksum/);
  });

  test('that claims more than it has is refused before anything is made of it', async () => {
    const bytes = fileOf(createOwner(), 3);
    new DataView(bytes.buffer).setUint32(8 + 16, 2 ** 32 - 1, true);
    await expect(read(bytes, createOwner())).rejects.toThrow(`the file has ${bytes.length}`);
  });

  test('of another model, layout or version, or that does not fit, names both', async () => {
    const bytes = fileOf(createOwner(), 20);
    await expect(read(bytes, createOwner(600, 'another'))).rejects.toThrow(
      /of the model [0-9a-f]{16}\.\.\., this one is/,
    );
    await expect(read(bytes, createOwner(16))).rejects.toThrow(/has 20 positions, this model runs at most 16/);
    const wide = {
      ...createOwner(),
      cache: createContiguousCache({ ...LAYOUT, headDim: 4 }, 600, heapStorage(Float32Array)),
    };
    await expect(read(bytes, wide)).rejects.toThrow(/headDim 2, this model has 4/);
    const newer = bytes.slice();
    newer[7] = '2'.charCodeAt(0);
    await expect(read(newer, createOwner())).rejects.toThrow(/version "2", this engine reads 1/);
    await expect(read(bytes, { ...createOwner(), vocab: 50 })).rejects.toThrow(
      /id 56 is outside the vocabulary 0\.\.49/,
    );
  });
});

describe('a session', () => {
  const MAX_SEQ = 64;
  const KINDS = [
    { executor: 'wasm', kv: { kind: 'contiguous' } },
    { executor: 'wasm', kv: { kind: 'paged', pageSize: 16 } },
    { executor: 'naive', kv: { kind: 'paged', pageSize: 32 } },
  ] as const;
  let models: Model[];
  beforeAll(async () => {
    models = await Promise.all(KINDS.map((options) => loadModel('embedded', { maxSeq: MAX_SEQ, ...options })));
  });
  afterAll(() => Promise.all(models.map((model) => model.dispose())));

  test('goes on with the same bits in another process, executor or form of the cache', async () => {
    const ids = fc.array(fc.integer({ min: 16, max: 1023 }), { minLength: 2, maxLength: 40 });
    const which = fc.nat(KINDS.length - 1);
    await fc.assert(
      fc.asyncProperty(ids, fc.nat(), which, which, async (all, raw, from, to) => {
        const cut = 1 + (raw % (all.length - 1));
        using whole = models[from]!.createSession();
        await whole.append(all.slice(0, cut));
        const bytes = await bytesOf(whole.save('x'));
        const restored = await models[to]!.restoreSession(bufferSource('it', bytes));
        using session = restored.session;
        expect(session.ids).toEqual(all.slice(0, cut));
        const expected = await whole.append(all.slice(cut));
        const { data } = await session.append(all.slice(cut));
        expect(firstDifference(data, expected.data)).toBeUndefined();
      }),
      { numRuns: 12 },
    );
  });

  test('with rounded activations is not one with f32 activations, nor one of the truth', async () => {
    using session = models[0]!.createSession();
    await session.append([0, 440]);
    const bytes = await bytesOf(session.save());
    await using f32 = await loadModel('embedded', { activations: 'f32' });
    await expect(f32.restoreSession(bufferSource('it', bytes))).rejects.toThrow(/is a session of the model/);
    await using truth = await loadModel('embedded', { executor: 'naive64' });
    await expect(truth.restoreSession(bufferSource('it', bytes))).rejects.toThrow(/elementBytes 4, this model has 8/);
  });

  test('is not touched while it is saved, and is usable afterwards, also when the reader stops', async () => {
    using session = models[0]!.createSession();
    await session.append([0, 440]);
    const pieces = session.save();
    await pieces.next();
    await expect(session.append([450])).rejects.toThrow(/a save is under way/);
    await pieces.return();
    expect((await session.append([450])).data.length).toBe(1024);
  });
});
