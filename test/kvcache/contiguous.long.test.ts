import { createContiguousCache } from '../../src/kvcache/contiguous.ts';
import { describeHistories } from './cache_suite.ts';

/** Histories four times as long, in caches that grow further, and twenty times as many of them. */
describeHistories('contiguous', createContiguousCache, {
  numRuns: 800,
  maxSteps: 56,
  maxSeq: 1500,
  nFailing: 300,
  maxFailingSteps: 12,
});
