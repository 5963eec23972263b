import { availableParallelism } from 'node:os';
import { expect, test } from 'vitest';
import { loadModel } from '../../src/index.node.ts';
import { firstDifference } from '../support/executors.ts';

/** Long enough that its calls are shared out, and that it crosses pages. */
const IDS = Array.from({ length: 70 }, (_, i) => 16 + ((i * i * 7 + 3 * i) % 1000));

const FORMS = [
  { kind: 'paged', pageSize: 16 },
  { kind: 'prefix', pageSize: 32 },
] as const;

test.for(FORMS)('two threads over a cache of the form $kind give the bits of the naive tier', async (kv, { skip }) => {
  skip(availableParallelism() < 2, 'this machine runs one thread at a time');
  await using naive = await loadModel('embedded', { executor: 'naive' });
  await using threaded = await loadModel('embedded', { threads: 2, kv });
  expect(threaded.info.threads).toBe(2);
  const expected = await naive.logits(IDS);
  const { data } = await threaded.logits(IDS);
  expect(firstDifference(data, expected.data)).toBeUndefined();
});
