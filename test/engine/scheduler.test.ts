import { describe, expect, test } from 'vitest';
import { CapacityError } from '../../src/core/errors.ts';
import { STEPS_PER_PRIORITY } from '../../src/engine/schedule.ts';
import { createScheduler, type Outcome, type SchedulerParts } from '../../src/engine/scheduler.ts';
import { createCountingCache, createFakeExecutor } from '../support/counting_cache.ts';
import { type Mutation, mutatedModule } from '../support/mutated_module.ts';
import { type SimulationOptions, simulate } from '../support/simulation.ts';

type Create = typeof createScheduler;

const SIMULATIONS: readonly SimulationOptions[] = Array.from({ length: 24 }, (_, seed) => ({
  seed,
  nRequests: 60,
  failures: seed % 4 === 3 ? 0.05 : 0,
  cancels: seed % 2 === 0 ? 0.05 : 0,
  nPages: [10, 14, 25, 1000][seed % 4]!,
}));

const LIMITS = { maxBatch: 4, tokenBudget: 8, maxUnread: 100 };

/** A scheduler over fakes, and tasks that count their tokens. */
function setUp(o: { nPages?: number; maxSeq?: number; limits?: Partial<typeof LIMITS>; create?: Create } = {}) {
  const cache = createCountingCache({ maxSeq: o.maxSeq ?? 64, pageSize: 4, nPages: o.nPages ?? 1000 });
  const executor = createFakeExecutor();
  const parts: SchedulerParts = { executor, cache, limits: { ...LIMITS, ...o.limits } };
  const scheduler = (o.create ?? createScheduler)(parts);
  const ended: { name: string; outcome: Outcome }[] = [];
  const add = (name: string, nPrompt: number, nWanted: number, priority = 0) => {
    let n = 0;
    return scheduler.add({
      prompt: Array.from({ length: nPrompt }, (_, i) => i % 7),
      priority,
      next: () => (++n === nWanted ? null : n % 7),
      onEnd: (outcome) => ended.push({ name, outcome }),
    });
  };
  const runAll = (): number => {
    let steps = 0;
    while (scheduler.jobs.length > 0 && steps < 10_000) {
      scheduler.step();
      steps++;
    }
    return steps;
  };
  return { cache, executor, scheduler, ended, add, runAll, names: () => ended.map(({ name }) => name) };
}

describe('simulation', () => {
  test('every request ends once, memory is given back, logits are those of each sequence alone', () => {
    const sum = { finished: 0, cancelled: 0, failed: 0, preempted: 0, paused: 0, forked: 0 };
    for (const options of SIMULATIONS) {
      const { outcomes, nPreempted, nPaused, nForked } = simulate(createScheduler, options);
      sum.finished += outcomes.finished;
      sum.cancelled += outcomes.cancelled;
      sum.failed += outcomes.failed;
      sum.preempted += nPreempted;
      sum.paused += nPaused;
      sum.forked += nForked;
      if (options.failures === 0) expect(outcomes.failed).toBe(0); // each fits alone
    }
    expect(sum.finished + sum.cancelled + sum.failed).toBe(24 * 60);
    // What the simulation is about did happen, often.
    for (const n of Object.values(sum)) expect(n).toBeGreaterThan(50);
  });

  test('the same seed gives the same run', () => {
    expect(simulate(createScheduler, SIMULATIONS[3]!)).toEqual(simulate(createScheduler, SIMULATIONS[3]!));
  });
});

describe('a step', () => {
  test('decode rows come first, the budget that is left goes to prompts in chunks', () => {
    const { scheduler, add } = setUp();
    add('short', 2, 20);
    add('long', 20, 20);
    expect(scheduler.step()).toMatchObject({ nTokens: 8, nSequences: 2 }); // 2 + 6 of 20
    expect(scheduler.jobs.map((job) => job.nCached)).toEqual([2, 6]);
    scheduler.step();
    expect(scheduler.jobs.map((job) => job.nCached)).toEqual([3, 13]); // 1 + 7
    scheduler.step();
    scheduler.step();
    expect(scheduler.jobs.map((job) => job.nCached)).toEqual([5, 21]); // both decode
  });

  test('the steps of docs/scheduling.md', () => {
    const { scheduler, add } = setUp({ limits: { maxBatch: 3 } });
    for (const nPrompt of [2, 10, 3]) add('request', nPrompt, 9);
    const cached = [1, 2, 3].map(() => [scheduler.step().nTokens, scheduler.jobs.map((job) => job.nCached)]);
    expect(cached).toEqual([
      [8, [2, 6, 0]],
      [8, [3, 10, 3]],
      [3, [4, 11, 4]],
    ]);
  });

  test('a prompt of one token and the last token of a prompt are no different from a decode row', () => {
    const { add, runAll, names } = setUp({ limits: { maxBatch: 2, tokenBudget: 2 } });
    add('one', 1, 3);
    add('three', 3, 1);
    runAll();
    expect(names().toSorted()).toEqual(['one', 'three']);
  });

  test('a batch has at most maxBatch sequences; the next one takes the first free seat', () => {
    const { scheduler, add, names, runAll } = setUp({ limits: { maxBatch: 2 } });
    for (const name of ['a', 'b', 'c']) add(name, 2, 4);
    expect(scheduler.step().nSequences).toBe(2);
    runAll();
    expect(names()).toEqual(['a', 'b', 'c']);
  });

  test('a step with nothing to do does nothing', () => {
    const { scheduler } = setUp();
    expect(scheduler.canMove).toBe(false);
    expect(scheduler.step()).toEqual({ nTokens: 0, nSequences: 0, nPreempted: 0 });
  });
});

describe('priority and fairness', () => {
  test('higher goes first, equal ones as they came', () => {
    const { add, runAll, names } = setUp({ limits: { maxBatch: 1 } });
    add('usual', 2, 3);
    add('also usual', 2, 3);
    add('low', 2, 3, -1);
    add('high', 2, 3, 5);
    runAll();
    expect(names()).toEqual(['high', 'usual', 'also usual', 'low']);
  });

  /** Steps until a request of priority 0 ends while each step brings one of priority 2. */
  function stepsOfLow(create: Create): number {
    const { scheduler, add, names } = setUp({ limits: { maxBatch: 1 }, create });
    add('low', 1, 1);
    for (let step = 0; step < 10 * STEPS_PER_PRIORITY; step++) {
      add(`high ${step}`, 1, 1, 2);
      scheduler.step();
      if (names().includes('low')) return step;
    }
    return Infinity;
  }

  test('a level of priority is worth a number of steps of waiting, no more: nobody starves', () => {
    expect(stepsOfLow(createScheduler)).toBe(2 * STEPS_PER_PRIORITY);
  });

  test('mutant: by priority alone, the low one starves', async () => {
    const schedule = new URL('../../src/engine/schedule.ts', import.meta.url);
    const { seatsFor } = await mutatedModule<typeof import('../../src/engine/schedule.ts')>(schedule, {
      from: 'job.arrivedAt - job.priority * STEPS_PER_PRIORITY;',
      to: 'job.priority * -Infinity || 0;',
    });
    const base = { hasRows: false, hasSeat: false, nIds: 1, nCached: 0, unread: 0 };
    const flags = { waitsForMemory: false, waitsForPrompt: false };
    const low = { ...base, ...flags, index: 0, priority: 0, arrivedAt: 0 };
    const high = { ...base, ...flags, index: 1, priority: 2, arrivedAt: 1e6 };
    const limits = { ...LIMITS, maxBatch: 1 };
    expect(seatsFor([low, high], limits)).toEqual([high]);
    const real = await import('../../src/engine/schedule.ts');
    expect(real.seatsFor([low, high], limits)).toEqual([low]);
  });
});

describe('memory', () => {
  test('the last by rank gives up its rows, is computed again, and ends as it would have', () => {
    const { scheduler, add, names, cache, executor } = setUp({ nPages: 6, limits: { maxBatch: 2 } });
    add('first', 8, 9); // 16 rows at its end: 4 pages
    add('second', 8, 9);
    let nPreempted = 0;
    while (scheduler.jobs.length > 0) nPreempted += scheduler.step().nPreempted;
    expect(nPreempted).toBe(1);
    expect(names()).toEqual(['first', 'second']);
    expect(executor.nTokens).toBeGreaterThan(32);
    expect(cache.bytesInUse).toBe(0);
  });

  test('a higher priority takes the rows of a lower one, however early that came', () => {
    const { scheduler, add, names, runAll } = setUp({ nPages: 4, limits: { maxBatch: 2 } });
    const early = add('early', 8, 9);
    scheduler.step();
    add('urgent', 8, 9, 1);
    scheduler.step();
    scheduler.step();
    while (early.hasRows) scheduler.step();
    runAll();
    expect(names()).toEqual(['urgent', 'early']);
  });

  test('what can never fit ends with a CapacityError, and takes nobody with it', () => {
    const { add, runAll, ended, cache } = setUp({ nPages: 4 });
    add('fits', 4, 4);
    add('never', 30, 4);
    add('fits too', 4, 4);
    runAll();
    const never = ended.find(({ name }) => name === 'never')!.outcome;
    expect(never).toMatchObject({ kind: 'failed', error: expect.any(CapacityError) });
    expect(ended.filter(({ outcome }) => outcome.kind === 'finished')).toHaveLength(2);
    expect(cache.bytesInUse).toBe(0);
  });

  test('a prompt that is longer than the context, or empty, is refused before it takes memory', () => {
    const { add, ended } = setUp({ maxSeq: 8 });
    add('long', 9, 1);
    add('empty', 0, 1);
    expect(ended.map(({ outcome }) => (outcome.kind === 'failed' ? String(outcome.error) : ''))).toEqual([
      expect.stringMatching(/CapacityError: the sequence has 9 tokens, the context has room for 1 to maxSeq=8/),
      expect.stringMatching(/has 0 tokens/),
    ]);
  });

  test('a run that has too little memory for all is tried with fewer', () => {
    const { scheduler, add, executor, runAll, ended } = setUp();
    add('a', 2, 3);
    add('b', 2, 3);
    let left = 1;
    executor.failsNow = () => left-- > 0;
    expect(scheduler.step()).toMatchObject({ nTokens: 0, nPreempted: 1 });
    runAll();
    expect(ended.map(({ outcome }) => outcome.kind)).toEqual(['finished', 'finished']);
  });
});

describe('slow readers', () => {
  test('a request pauses at maxUnread pieces, gives its seat to others, and goes on when its reader reads', () => {
    const { scheduler, add, names } = setUp({ limits: { maxBatch: 1, maxUnread: 3 } });
    const slow = add('slow', 2, 10);
    const next = add('next', 2, 3);
    for (let i = 0; i < 20; i++) scheduler.step();
    expect(slow).toMatchObject({ unread: 3, nIds: 5, hasSeat: false, hasRows: true });
    expect(next.isEnded).toBe(true);
    expect(scheduler.canMove).toBe(false);
    scheduler.read(slow, 2);
    expect(scheduler.canMove).toBe(true);
    for (let i = 0; i < 20; i++) scheduler.step();
    expect(slow.nIds).toBe(7);
    for (let i = 0; i < 20; i++) {
      scheduler.read(slow, slow.unread);
      scheduler.step();
    }
    expect(names()).toEqual(['next', 'slow']);
  });

  test('the rows of who is paused are the first to be taken', () => {
    const { scheduler, add, runAll, ended } = setUp({ nPages: 4, limits: { maxUnread: 3 } });
    const slow = add('slow', 8, 10, 3);
    for (let i = 0; i < 5; i++) scheduler.step();
    expect(slow).toMatchObject({ unread: 3, hasRows: true });
    const other = add('other', 8, 4, -3);
    for (let i = 0; i < 9; i++) {
      scheduler.step();
      scheduler.read(other, other.unread);
    }
    expect(ended).toEqual([{ name: 'other', outcome: { kind: 'finished' } }]);
    while (!slow.isEnded) {
      scheduler.read(slow, slow.unread);
      scheduler.step();
    }
    expect(runAll()).toBe(0);
  });
});

describe('a shared prompt', () => {
  const prompt = [1, 2, 3, 4, 5];
  const task = (seen: number[][], nWanted = 3) => ({
    prompt,
    priority: 0,
    next: (logits: ArrayLike<number>, ids: readonly number[]) => {
      seen.push(Array.from(logits));
      return ids.length === prompt.length + nWanted - 1 ? null : 1;
    },
    onEnd: () => {},
  });

  test('is run once; the others get its rows and its logits', () => {
    const { scheduler, executor, runAll, cache } = setUp();
    const seen: number[][][] = [[], [], [], []];
    const leader = scheduler.add(task(seen[0]!));
    for (const own of seen.slice(1)) scheduler.add(task(own), leader);
    runAll();
    expect(executor.nTokens).toBe(prompt.length + 4 * 2);
    for (const own of seen) expect(own).toEqual(seen[0]);
    expect(seen[0]).toHaveLength(3);
    expect(cache.bytesInUse).toBe(0);
  });

  test('is run by the next one when the first is cancelled before it is done', () => {
    const { scheduler, executor, runAll } = setUp({ limits: { tokenBudget: 4 } });
    const leader = scheduler.add(task([]));
    const second = scheduler.add(task([]), leader);
    scheduler.add(task([]), second);
    scheduler.step();
    scheduler.cancel(leader);
    runAll();
    expect(second.isEnded).toBe(true);
    expect(executor.nTokens).toBe(4 + prompt.length + 2 * 2);
  });
});

describe('limits', () => {
  test.each([
    [{ maxBatch: 0 }, /batch is 0, must be an integer from 1/],
    [{ maxUnread: 0.5 }, /max-unread is 0\.5/],
    [{ tokenBudget: 3 }, /token-budget is 3, must be at least batch=4/],
  ])('%o is refused', (limits, message) => {
    expect(() => setUp({ limits })).toThrow(message);
  });

  test.each([1.5, 1001, Number.NaN, '1'])('priority %o is refused', (priority) => {
    expect(() => setUp().add('x', 1, 1, priority as number)).toThrow(
      /priority is .*, must be an integer in -1000\.\.1000/,
    );
  });
});

describe('mutants of the scheduler are found by the simulation', () => {
  const MUTANTS: Readonly<Record<string, Mutation>> = {
    'forgets to release when a job ends': { from: '    dropRows(job);\n    jobs.splice', to: '    jobs.splice' },
    'keeps a job that has ended': { from: 'jobs.splice(jobs.indexOf(job), 1);', to: '' },
    'recompute loses the last token': {
      from: 'nPreempted++;',
      to: 'nPreempted++; if (job.nCached > 3) job.ids.pop();',
    },
    'takes a row for computed that is not': {
      from: '(job.rows, job.ids, job.task.scope) ?? 0;',
      to: '(job.rows, job.ids) ?? job.nIds - 1;',
    },
    'samples before the prompt is done': {
      from: 'if (job.nCached + count === job.ids.length) {',
      to: 'if (job.nCached + count >= job.ids.length - 1) {',
    },
    'forks without the count of rows': { from: 'follower.nCached = job.nCached;', to: '' },
    'forgets those who wait for a prompt': { from: '    handOver(job);\n', to: '' },
    'overruns a slow reader': { from: '    job.unread++;\n', to: '' },
    'leaves the rows of a failed run': {
      from: 'cache.truncate(job.rows, job.nCached);',
      to: 'job.nCached += 0;',
    },
  };

  test.each(Object.entries(MUTANTS))('%s', async (_, mutation) => {
    const source = new URL('../../src/engine/scheduler.ts', import.meta.url);
    const mutant = await mutatedModule<typeof import('../../src/engine/scheduler.ts')>(source, mutation);
    expect(() => {
      for (const options of SIMULATIONS) simulate(mutant.createScheduler, options);
    }).toThrow();
  });
});
