import { expect, test } from 'vitest';
import { createScheduler } from '../../src/engine/scheduler.ts';
import { simulate } from '../support/simulation.ts';

/** The simulation of scheduler.test.ts, with thousands of requests: in many short runs, and in a few long ones that fill a queue. */
test.each([
  ['short', 120, 60],
  ['long', 2, 500],
])('%s simulations: %d of %d requests each', (_, nSeeds, nRequests) => {
  const sum = { finished: 0, cancelled: 0, failed: 0 };
  for (let seed = 100; seed < 100 + nSeeds; seed++) {
    const { outcomes } = simulate(createScheduler, {
      seed,
      nRequests,
      failures: seed % 4 === 3 ? 0.05 : 0,
      cancels: seed % 2 === 0 ? 0.05 : 0,
      nPages: [10, 14, 25, 1000][seed % 4]!,
    });
    for (const kind of ['finished', 'cancelled', 'failed'] as const) sum[kind] += outcomes[kind];
  }
  expect(sum.finished + sum.cancelled + sum.failed).toBe(nSeeds * nRequests);
});
