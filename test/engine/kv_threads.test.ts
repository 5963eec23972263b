import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { loadModel } from '../../src/index.node.ts';
import { firstDifference } from '../support/executors.ts';

/** Long enough that its calls are shared out, and that it crosses pages. */
const IDS = Array.from({ length: 70 }, (_, i) => 16 + ((i * i * 7 + 3 * i) % 1000));

const FORMS = [
  { kind: 'paged', pageSize: 16 },
  { kind: 'prefix', pageSize: 32 },
  { kind: 'tiered', pageSize: 16, budget: 80 },
  { kind: 'evict', by: 'importance', budget: 75 },
] as const;

/** Computed once: it takes seconds. */
let naive: Promise<ArrayLike<number>> | undefined;

test.for(FORMS)('two threads over a cache of the form $kind give the bits of the naive tier', async (kv, { skip }) => {
  skip(availableParallelism() < 2, 'this machine runs one thread at a time');
  await using threaded = await loadModel('embedded', { threads: 2, kv });
  expect(threaded.info.threads).toBe(2);
  naive ??= loadModel('embedded', { executor: 'naive' }).then(async (model) => {
    const { data } = await model.logits(IDS);
    await model.dispose();
    return data;
  });
  const { data } = await threaded.logits(IDS);
  expect(firstDifference(data, await naive)).toBeUndefined();
});

test('two threads over pages that go to a file and come back', async ({ skip }) => {
  skip(availableParallelism() < 2, 'this machine runs one thread at a time');
  await using one = await loadModel('embedded', { prefillChunk: 24 });
  // Two sequences of 70 do not fit 80: each pushes the other's pages out.
  await using threaded = await loadModel('embedded', {
    threads: 2,
    prefillChunk: 24,
    kv: { kind: 'tiered', pageSize: 16, budget: 80 },
  });
  const pairs = [IDS, IDS.map((id) => 1015 - (id % 1000))].map((ids) => {
    return { ids, plain: one.createSession(), tiered: threaded.createSession() };
  });
  for (let from = 0; from < 70; from += 35) {
    for (const { ids, plain, tiered } of pairs) {
      const part = ids.slice(from, from + 35);
      const expected = await plain.append(part, { logits: 'all' });
      const { data } = await tiered.append(part, { logits: 'all' });
      expect(firstDifference(data, expected.data)).toBeUndefined();
    }
  }
  const { file } = threaded.cacheStats();
  expect(file!.nWritten).toBeGreaterThan(0);
  expect(file!.nRead).toBeGreaterThan(0);
});
