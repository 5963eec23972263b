import { createKvCache } from '../../src/kvcache/create.ts';
import type { KvOptions } from '../../src/kvcache/options.ts';
import { memoryScratch } from '../support/memory_scratch.ts';
import { describeHistories, type HistoryRuns } from './cache_suite.ts';

/** Histories four times as long, in caches that grow further, and many more of them. */
const LONG: HistoryRuns = { numRuns: 200, maxSteps: 56, maxSeq: 1500, nFailing: 80, maxFailingSteps: 12 };

const FORMS: [name: string, make: () => KvOptions][] = [
  ['paged', () => ({ kind: 'paged', debug: true })],
  ['prefix', () => ({ kind: 'prefix', pageSize: 32, budget: 2 ** 20, debug: true })],
  ['tiered', () => ({ kind: 'tiered', debug: true, files: memoryScratch() })],
];

for (const [name, make] of FORMS) {
  describeHistories(name, (layout, maxSeq, storage) => createKvCache(make(), layout, maxSeq, storage), {
    ...LONG,
    hasPrefixes: name !== 'paged',
  });
}
