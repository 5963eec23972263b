import { expect, test } from 'vitest';
import { optimize } from '../../src/graph/passes/index.ts';
import { randomReport } from '../support/bounds_report.ts';

/** Other random models and scenarios than those of the short test, and sixty times as many. */
const RUNS = { numRuns: 1200, seed: 31 };

test.each([
  ['as built', undefined],
  ['rewritten by the passes', optimize],
])('every value of every op lies within its bound: graphs %s', (_what, transform) => {
  const { ops, firstOutside } = randomReport({}, RUNS, transform);
  expect(firstOutside).toBeUndefined();
  for (const { op, worstRatio } of ops) expect(worstRatio, op).toBeLessThanOrEqual(1);
});
