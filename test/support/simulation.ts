import { CapacityError } from '../../src/core/errors.ts';
import type { Outcome, Scheduled, Scheduler, SchedulerParts, Task } from '../../src/engine/scheduler.ts';
import { createCountingCache, createFakeExecutor, FAKE_VOCAB, fakeLogits } from './counting_cache.ts';
import { randomNumbers } from './tiny_llama.ts';

export interface SimulationOptions {
  readonly seed: number;
  readonly nRequests: number;
  /** Chance of a failed allocation, and of a failed run. */
  readonly failures: number;
  readonly cancels: number;
  readonly nPages: number;
}

export interface SimulationResult {
  readonly outcomes: Readonly<Record<Outcome['kind'], number>>;
  readonly nPreempted: number;
  readonly nPaused: number;
  readonly nForked: number;
  readonly nSteps: number;
}

interface Followed {
  readonly prompt: readonly number[];
  readonly nWanted: number;
  readonly generated: number[];
  job: Scheduled | undefined;
  unread: number;
  outcome: Outcome | undefined;
}

const MAX_SEQ = 40;
const PAGE = 4;

/**
 * Random arrivals, priorities, cancels (also from within a step), slow readers, failing allocations and runs, over a fake
 * executor. Throws at the first broken promise: a request that ends twice or never, logits that are not those of its ids, a
 * step over its budget, a reader that is overrun, an error that is none of the six, memory that is not given back.
 */
export function simulate(
  create: (parts: SchedulerParts) => Scheduler,
  { seed, nRequests, failures, cancels, nPages }: SimulationOptions,
): SimulationResult {
  const random = randomNumbers(seed);
  const below = (n: number): number => Math.floor(random() * n);
  const limits = { maxBatch: 1 + below(6), tokenBudget: 6 + below(12), maxUnread: 1 + below(4) };
  const cache = createCountingCache({ maxSeq: MAX_SEQ, pageSize: PAGE, nPages });
  const executor = createFakeExecutor();
  const forks = { n: 0 };
  const { fork } = cache;
  cache.fork = (sequence) => {
    const copy = fork(sequence);
    forks.n++;
    return copy;
  };
  const scheduler = create({ executor, cache, limits });
  const all: Followed[] = [];
  const outcomes = { finished: 0, cancelled: 0, failed: 0 };
  let nPreempted = 0;
  let nPaused = 0;
  let nSteps = 0;
  let isDraining = false;
  cache.failsNow = () => !isDraining && random() < failures;
  executor.failsNow = () => !isDraining && random() < failures;

  const promise = (holds: boolean, text: string): void => {
    if (!holds) throw new Error(`simulation ${seed}, step ${nSteps}: ${text}`);
  };
  const taskOf = (followed: Followed, priority: number): Task => ({
    prompt: followed.prompt,
    priority,
    next(logits, ids) {
      promise(followed.outcome === undefined, 'an ended request was asked for a token');
      promise(followed.unread++ < limits.maxUnread, 'a reader that is behind got a piece');
      const known = [...followed.prompt, ...followed.generated];
      promise(known.join() === ids.join(), `ids are ${ids.join()}, expected ${known.join()}`);
      const expected = fakeLogits(known);
      promise(
        expected.every((x, v) => Object.is(x, logits[v])),
        'logits are not those of the ids alone',
      );
      if (!isDraining && random() < cancels / 4) scheduler.cancel(all[below(all.length)]!.job!);
      const id = expected.indexOf(Math.max(...expected));
      followed.generated.push(id);
      return followed.generated.length === followed.nWanted ? null : id;
    },
    onEnd(outcome) {
      promise(followed.outcome === undefined, 'a request ended twice');
      followed.outcome = outcome;
      outcomes[outcome.kind]++;
      // Each request fits alone, so only an allocation that was made to fail can end one.
      const isExpected = outcome.kind !== 'failed' || (failures > 0 && outcome.error instanceof CapacityError);
      promise(isExpected, `a request failed: ${String(outcome.kind === 'failed' && outcome.error)}`);
    },
  });
  const submit = (prompt: readonly number[], leader?: Scheduled): Scheduled => {
    const nWanted = 1 + below(MAX_SEQ - prompt.length);
    const followed: Followed = { prompt, nWanted, generated: [], job: undefined, unread: 0, outcome: undefined };
    all.push(followed);
    followed.job = scheduler.add(taskOf(followed, below(7) - 3), leader);
    return followed.job;
  };

  const stepsAllowed = nRequests * MAX_SEQ * 10;
  while (all.length < nRequests || scheduler.jobs.length > 0) {
    isDraining = all.length >= nRequests && nSteps > stepsAllowed / 2;
    while (all.length < nRequests && random() < 0.4) {
      const prompt = Array.from({ length: 1 + below(MAX_SEQ / 2) }, () => below(FAKE_VOCAB));
      const leader = submit(prompt);
      while (all.length < nRequests && random() < 0.2) submit(prompt, leader);
    }
    if (all.length > 0 && random() < cancels) scheduler.cancel(all[below(all.length)]!.job!);
    for (const followed of all) {
      // Each reader has its own pace: a third of them reads rarely.
      const { job, unread } = followed;
      if (
        job !== undefined &&
        !job.isEnded &&
        unread > 0 &&
        random() < (isDraining || job.index % 3 > 0 ? 0.9 : 0.05)
      ) {
        const n = 1 + below(unread);
        followed.unread -= n;
        scheduler.read(job, n);
      }
    }
    nPaused += scheduler.jobs.filter((job) => job.unread >= limits.maxUnread).length;
    const report = scheduler.step();
    nPreempted += report.nPreempted;
    promise(report.nTokens <= limits.tokenBudget, `a step of ${report.nTokens} tokens`);
    promise(report.nSequences <= limits.maxBatch, `a step of ${report.nSequences} sequences`);
    promise(++nSteps < stepsAllowed, `${scheduler.jobs.length} requests have not ended`);
  }
  promise(
    all.every(({ outcome }) => outcome !== undefined),
    'a request never ended',
  );
  promise(cache.bytesInUse === 0, `${cache.bytesInUse} bytes were not given back`);
  return { outcomes, nPreempted, nPaused, nForked: forks.n, nSteps };
}
