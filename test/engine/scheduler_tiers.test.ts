import { expect, test } from 'vitest';
import { CapacityError } from '../../src/core/errors.ts';
import { createScheduler } from '../../src/engine/scheduler.ts';
import { executorOf, F32_TIERS, firstDifference, logitsInChunks } from '../support/executors.ts';
import { randomNumbers, TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

const MAX_SEQ = 40;

/** One scheduled run: random prompts, lengths, budgets, shared prompts, and memory that runs out. Gives what each sequence saw. */
async function scheduled(executor: Awaited<ReturnType<typeof executorOf>>, seed: number) {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const cache = executor.createCache(MAX_SEQ);
  const { reserve, fork } = cache;
  // While others hold rows, some of which can be taken, every tenth time there is no room.
  const failSometimes = (): void => {
    if (scheduler.jobs.filter((job) => job.hasRows).length > 1 && random() < 0.1) throw new CapacityError('no room');
  };
  cache.reserve = (sequence, count) => {
    failSometimes();
    reserve(sequence, count);
  };
  cache.fork = (sequence) => {
    failSometimes();
    return fork(sequence);
  };
  const scheduler = createScheduler({
    executor,
    cache,
    limits: { maxBatch: 1 + below(5), tokenBudget: 5 + below(12), maxUnread: 1000 },
  });
  const seen: { ids: readonly number[]; logits: number[] }[] = [];
  const failures: unknown[] = [];
  const submit = (prompt: readonly number[], leader?: ReturnType<typeof scheduler.add>) => {
    const nWanted = 1 + below(MAX_SEQ - prompt.length);
    const own: { ids: readonly number[]; logits: number[] } = { ids: prompt, logits: [] };
    seen.push(own);
    let n = 0;
    return scheduler.add(
      {
        prompt,
        priority: below(3),
        next(logits, ids) {
          own.ids = [...ids];
          own.logits.push(...logits);
          return ++n === nWanted ? null : below(TINY_CONFIG.vocab);
        },
        onEnd: (outcome) => outcome.kind === 'failed' && failures.push(outcome.error),
      },
      leader,
    );
  };
  let nPreempted = 0;
  for (let i = 0; i < 4; i++) {
    const leader = submit(Array.from({ length: 1 + below(20) }, () => below(TINY_CONFIG.vocab)));
    if (i === 0) submit(leader.ids, leader);
    nPreempted += scheduler.step().nPreempted;
  }
  for (let steps = 0; scheduler.jobs.length > 0 && steps < 2000; steps++) nPreempted += scheduler.step().nPreempted;
  expect(failures).toEqual([]);
  expect(scheduler.jobs).toEqual([]);
  expect(cache.bytesInUse).toBe(0);
  return { seen, nPreempted };
}

test.each(F32_TIERS)('%s: every sequence has the bits of the run alone, whatever ran beside it', async (tier) => {
  const executor = await executorOf(tier, tinyLlama({ seed: 5, dtype: 'q4_0' }), 'q8');
  let nPreempted = 0;
  for (let seed = 0; seed < (tier === 'naive' ? 3 : 12); seed++) {
    const run = await scheduled(executor, seed);
    nPreempted += run.nPreempted;
    for (const { ids, logits } of run.seen) {
      const alone = logitsInChunks(executor, ids, []).slice(-logits.length);
      expect(firstDifference(logits, alone), `seed ${seed}`).toBeUndefined();
    }
  }
  expect(nPreempted).toBeGreaterThan(3);
  executor.dispose();
});
