import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bufferSource } from '../../src/core/host.ts';
import type { Model } from '../../src/engine/model.ts';
import { loadModel } from '../../src/index.node.ts';
import { firstDifference } from '../support/executors.ts';

/** The embedded model in small chunks, so that every prompt here crosses several. */
let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded', { maxSeq: 64, prefillChunk: 7 });
});
afterAll(() => model.dispose());

const ids = (min: number, max: number) =>
  fc.array(fc.integer({ min: 16, max: 1023 }), { minLength: min, maxLength: max });

describe('a session', () => {
  test('gives the logits of its last position, or of all new ones, however the ids are appended', async () => {
    await fc.assert(
      fc.asyncProperty(ids(2, 30), fc.nat(), async (sequence, raw) => {
        const cut = 1 + (raw % (sequence.length - 1));
        const whole = await model.logits(sequence);
        using session = model.createSession();
        const head = await session.append(sequence.slice(0, cut), { logits: 'all' });
        const last = await session.append(sequence.slice(cut));
        expect(firstDifference(head.data, whole.data.subarray(0, cut * whole.vocab))).toBeUndefined();
        expect(firstDifference(last.data, whole.data.subarray(-whole.vocab))).toBeUndefined();
        expect(session.ids).toEqual(sequence);
      }),
      { numRuns: 10 },
    );
  });

  test('a fork goes its own way, and the origin does not notice', async () => {
    using origin = model.createSession();
    await origin.append([0, 440, 450]);
    using fork = origin.fork();
    await fork.append([100, 101]);
    const plain = await model.logits([0, 440, 450, 274]);
    const { data } = await origin.append([274]);
    expect(firstDifference(data, plain.data.subarray(-plain.vocab))).toBeUndefined();
    expect(fork.ids).toEqual([0, 440, 450, 100, 101]);
  });

  test('what does not fit is refused and changes nothing', async () => {
    using session = model.createSession();
    await session.append([0, 440]);
    await expect(session.append(new Array<number>(63).fill(300))).rejects.toMatchObject({
      name: 'CapacityError',
      message: 'kv cache: position 64 does not fit maxSeq=64; raise --max-seq or shorten the prompt',
    });
    await expect(session.append([])).rejects.toThrow(/no ids/);
    for (const id of [2 ** 32 + 300, 1.5, Number.NaN, Infinity]) {
      await expect(session.append([id])).rejects.toThrow(`${id} is not a token id`);
    }
    // The bad id is in the second chunk: the first one was already run and must be taken back.
    await expect(session.append([...new Array<number>(7).fill(300), 5000])).rejects.toThrow(/token id 5000/);
    expect(session.ids).toEqual([0, 440]);
    const plain = await model.logits([0, 440, 450]);
    const { data } = await session.append([450]);
    expect(firstDifference(data, plain.data.subarray(-plain.vocab))).toBeUndefined();
  });

  test('an aborted append takes back what it had run', async () => {
    using session = model.createSession();
    await session.append([0]);
    const controller = new AbortController();
    const reason = new Error('enough');
    const running = session.append(new Array<number>(40).fill(300), { signal: controller.signal });
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(session.ids).toEqual([0]);
    await session.append([440]);
    expect(session.ids).toEqual([0, 440]);
  });

  test('truncate beyond its length, and use after dispose, are refused', async () => {
    const session = model.createSession();
    await session.append([0, 440]);
    expect(() => session.truncate(3)).toThrow(/cannot truncate to 3 positions, the sequence has 2/);
    session.truncate(1);
    expect(session.ids).toEqual([0]);
    session.dispose();
    session.dispose();
    await expect(session.append([1])).rejects.toThrow(/disposed/);
    expect(() => session.fork()).toThrow(/disposed/);
  });

  test('while an append runs, every other use is refused and changes nothing', async () => {
    using session = model.createSession();
    const prompt = new Array<number>(30).fill(300);
    const running = session.append(prompt);
    await expect(session.append([440])).rejects.toThrow('an append is under way; await it');
    expect(() => session.truncate(0)).toThrow('an append is under way');
    expect(() => session.fork()).toThrow('an append is under way');
    const { data } = await running;
    const plain = await model.logits(prompt);
    expect(firstDifference(data, plain.data.subarray(-plain.vocab))).toBeUndefined();
    expect(session.ids).toEqual(prompt);
  });

  test('dispose ends an append that runs, and gives back its memory', async () => {
    const before = model.info.cacheBytes;
    const session = model.createSession();
    const running = session.append(new Array<number>(30).fill(300));
    session.dispose();
    await expect(running).rejects.toThrow('session: it is disposed');
    expect(model.info.cacheBytes).toBe(before);
  });

  test.each(['wasm', 'naive'] as const)('%s: a session may be disposed after its model', async (executor) => {
    const other = await loadModel('embedded', { executor, maxSeq: 64, prefillChunk: 7 });
    const session = other.createSession();
    const running = other.createSession().append(new Array<number>(30).fill(300));
    await Promise.all([other.dispose(), expect(running).rejects.toThrow('it is disposed')]);
    expect(() => session.dispose()).not.toThrow();
    await expect(session.append([0])).rejects.toThrow('session: it is disposed');
  });

  test('sessions give back their memory', async () => {
    const before = model.info.cacheBytes;
    for (let i = 0; i < 5; i++) {
      using session = model.createSession();
      await session.append([0, 440]);
      using fork = session.fork();
      expect(model.info.cacheBytes).toBeGreaterThan(before);
      await fork.append([1]);
    }
    expect(model.info.cacheBytes).toBe(before);
  });
});

describe('a session over a cache that forgets', () => {
  const IDS = Array.from({ length: 220 }, (_, t) => 16 + ((t * 37) % 1000));

  test('goes back to where it was by running again what the cache has lost', async () => {
    await using windowed = await loadModel('embedded', { prefillChunk: 40, kv: { kind: 'lossy', window: 30 } });
    using fresh = windowed.createSession();
    await fresh.append(IDS.slice(0, 100));
    const expected = await fresh.append([300, 301], { logits: 'all' });
    using session = windowed.createSession();
    await session.append(IDS);
    session.truncate(100);
    expect(session.ids).toEqual(IDS.slice(0, 100));
    const { data } = await session.append([300, 301], { logits: 'all' });
    expect(firstDifference(data, expected.data)).toBeUndefined();
    expect(session.ids).toEqual([...IDS.slice(0, 100), 300, 301]);
  });

  test('after a failure in the middle of an append it is as before', async () => {
    const kv = { kind: 'lossy', window: 30, type: 'q8_0', recent: 20 } as const;
    await using model = await loadModel('embedded', { prefillChunk: 40, kv });
    using session = model.createSession();
    await session.append(IDS.slice(0, 50));
    await expect(session.append([...IDS.slice(50), 5000])).rejects.toThrow(/token id 5000/);
    expect(session.ids).toEqual(IDS.slice(0, 50));
    using fork = session.fork();
    const { data } = await fork.append([300]);
    using fresh = model.createSession();
    const expected = await fresh.append([...IDS.slice(0, 50), 300]);
    expect(firstDifference(data, expected.data)).toBeUndefined();
  });

  test('is neither saved nor restored: a file holds rows that it has not', async () => {
    for (const [kv, message] of [
      [{ kind: 'evict', by: 'importance', budget: 30 }, 'session: its cache forgets rows; run without --kv-evict'],
      [{ kind: 'lossy', window: 30 }, 'session: its cache forgets rows; run without --window'],
      [{ kind: 'lossy', type: 'q8_0' }, 'session: its cache rounds rows; run without --kv-type'],
    ] as const) {
      await using model = await loadModel('embedded', { kv });
      using session = model.createSession();
      await session.append(IDS.slice(0, 5));
      await expect(session.save().next()).rejects.toThrow(message);
      await expect(model.restoreSession(bufferSource('saved', new Uint8Array(1000)))).rejects.toThrow(message);
    }
  });
});
