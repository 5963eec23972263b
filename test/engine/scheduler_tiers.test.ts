import { expect, test } from 'vitest';
import { CapacityError } from '../../src/core/errors.ts';
import { createScheduler } from '../../src/engine/scheduler.ts';
import type { Executor } from '../../src/exec/executor.ts';
import { CONTIGUOUS, type KvOptions } from '../../src/kvcache/options.ts';
import { batchOf, executorOf, F32_TIERS, firstDifference, logitsInChunks } from '../support/executors.ts';
import { mutatedModule } from '../support/mutated_module.ts';
import { randomNumbers, TINY_CONFIG, tinyLlama } from '../support/tiny_llama.ts';

const MAX_SEQ = 40;

/**
 * One scheduled run: random prompts, lengths, budgets, shared prompts, and memory that runs out, also when rows have been written. Gives
 * what each sequence saw.
 */
async function scheduled(executor: Executor, seed: number, kv: KvOptions = CONTIGUOUS, create = createScheduler) {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const cache = executor.createCache(MAX_SEQ, kv);
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
  const run: Executor['run'] = (batch, of) => {
    const logits = executor.run(batch, of);
    failSometimes();
    return logits;
  };
  const scheduler = create({
    executor: { run },
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

/** Recompute after preemption: what a row sees depends on its position, so rows that are computed again have the bits that they had. */
const LOSSY: readonly KvOptions[] = [
  { kind: 'lossy', window: 9, sinks: 2 },
  { kind: 'paged', window: 9, sinks: 2 },
  { kind: 'evict', by: 'importance', budget: 20, sinks: 1, recent: 2 },
];

async function checkLossy(executor: Executor, kv: KvOptions, create = createScheduler): Promise<number> {
  let nPreempted = 0;
  for (let seed = 0; seed < 8; seed++) {
    const run = await scheduled(executor, seed, kv, create);
    nPreempted += run.nPreempted;
    for (const { ids, logits } of run.seen) {
      const cache = executor.createCache(MAX_SEQ, kv);
      const sequence = cache.create();
      const alone = ids.flatMap((id) => [...executor.run(batchOf(cache, [{ sequence, ids: [id] }]), cache).data]);
      cache.release(sequence);
      expect(firstDifference(logits, alone.slice(-logits.length)), `seed ${seed}`).toBeUndefined();
    }
  }
  return nPreempted;
}

test.each(LOSSY)('over %j, whose rows are lost: what each sequence sees alone in such a cache', async (kv) => {
  const executor = await executorOf('wasm simd', tinyLlama({ seed: 5, dtype: 'q4_0' }), 'q8');
  expect(await checkLossy(executor, kv)).toBeGreaterThan(3);
  executor.dispose();
});

test.each([
  ['cuts where it must not', 'else dropRows(job);', 'else cache.truncate(job.rows, job.nCached);'],
  ['goes on behind a failed run', 'else dropRows(job);', 'else job.nCached = cache.length(job.rows);'],
])('and a scheduler that %s is caught', async (_, from, to) => {
  const source = new URL('../../src/engine/scheduler.ts', import.meta.url);
  const mutant = await mutatedModule<{ createScheduler: typeof createScheduler }>(source, { from, to });
  const executor = await executorOf('wasm simd', tinyLlama({ seed: 5, dtype: 'q4_0' }), 'q8');
  await expect(checkLossy(executor, LOSSY.at(-1)!, mutant.createScheduler)).rejects.toThrow();
  executor.dispose();
});
