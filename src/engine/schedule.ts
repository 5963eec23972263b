import { ConfigError } from '../core/errors.ts';

/**
 * Room 4, the decisions: who gets a seat, whose tokens run in the next step, and who gives up its rows when memory runs out.
 * Functions of what they are given: no clock, no chance. Time is counted in steps. docs/scheduling.md tells it with pictures.
 *
 * One order decides everything. A job's rank is
 *
 *   arrivedAt - priority * STEPS_PER_PRIORITY          lower first, ties: the one that was added first
 *
 * so one level of priority is worth so many steps of waiting. A rank never changes. Who arrives late enough ranks behind,
 * whatever its priority: only so many jobs can ever be ahead of a given one, and none starves.
 */
export interface Job {
  /** Order of arrival. */
  readonly index: number;
  readonly priority: number;
  /** The step at which it came. */
  readonly arrivedAt: number;
  /** Ids so far, prompt and generated, and how many of them have rows in the cache. */
  readonly nIds: number;
  readonly nCached: number;
  /** It holds memory. */
  readonly hasRows: boolean;
  /** It takes part in steps. */
  readonly hasSeat: boolean;
  /** Pieces that its reader has not taken. */
  readonly unread: number;
  /** It lost its rows to others and would lose them again: it waits until a job ends or loses its seat to a slow reader. */
  readonly waitsForMemory: boolean;
  /** Another job computes the same prompt, and will hand over its rows. */
  readonly waitsForPrompt: boolean;
}

export interface ScheduleLimits {
  /** Most jobs in one step. */
  readonly maxBatch: number;
  /** Most tokens in one step, at least maxBatch: then every seated job can move. */
  readonly tokenBudget: number;
  /** A job whose reader is so many pieces behind pauses. */
  readonly maxUnread: number;
}

/** Steps of waiting that one level of priority is worth. A step is a token for everybody, so this is a long sentence. */
export const STEPS_PER_PRIORITY = 64;
/** Beyond it ranks would lose their exactness, and nobody means it. */
export const MAX_PRIORITY = 1000;

/** Throws ConfigError that names the limit, its value and what it may be. */
export function checkLimits({ maxBatch, tokenBudget, maxUnread }: ScheduleLimits): void {
  positive('batch', maxBatch);
  positive('max-unread', maxUnread);
  positive('token-budget', tokenBudget);
  if (tokenBudget < maxBatch) {
    throw new ConfigError(
      `token-budget is ${tokenBudget}, must be at least batch=${maxBatch}, so that each sequence can move in a step`,
    );
  }
}

/** Each sample has a state of its own, which is made when its request comes. */
const MOST_SAMPLES = 65_536;

export function isSamples(n: number): boolean {
  return Number.isSafeInteger(n) && n >= 1 && n <= MOST_SAMPLES;
}

/** Throws ConfigError for a number of samples of one prompt that is out of range. */
export function checkSamples(n: number): void {
  if (isSamples(n)) return;
  throw new ConfigError(`n is ${String(n)}, must be an integer from 1 to ${MOST_SAMPLES}; run more with other seeds`);
}

/** Throws ConfigError unless it is an integer of at most MAX_PRIORITY either way. */
export function checkPriority(priority: number): void {
  if (!Number.isInteger(priority) || Math.abs(priority) > MAX_PRIORITY) {
    throw new ConfigError(
      `priority is ${String(priority)}, must be an integer in -${MAX_PRIORITY}..${MAX_PRIORITY}; higher goes first, 0 is usual`,
    );
  }
}

/** Negative when a ranks before b. */
export function compareRank(a: Job, b: Job): number {
  const rank = (job: Job): number => job.arrivedAt - job.priority * STEPS_PER_PRIORITY;
  return rank(a) - rank(b) || a.index - b.index;
}

export function isPaused(job: Job, { maxUnread }: ScheduleLimits): boolean {
  return job.unread >= maxUnread;
}

/** The jobs without a seat that get the free ones now, by rank. A seat is not taken away for a better rank, only for a pause. */
export function seatsFor<J extends Job>(jobs: readonly J[], limits: ScheduleLimits): J[] {
  const nSeated = jobs.filter((job) => job.hasSeat).length;
  const ready = jobs.filter(
    (job) => !job.hasSeat && !isPaused(job, limits) && !job.waitsForPrompt && (!job.waitsForMemory || nSeated === 0),
  );
  return ready.sort(compareRank).slice(0, Math.max(0, limits.maxBatch - nSeated));
}

/**
 * How many tokens of each seated job run in this step, by rank. First one for each job that needs only one (it decodes); what
 * is left of the budget goes to prompts, by rank, as large a chunk as fits.
 */
export function tokensOfStep<J extends Job>(
  jobs: readonly J[],
  { tokenBudget }: ScheduleLimits,
): { job: J; count: number }[] {
  const seated = jobs.filter((job) => job.hasSeat).sort(compareRank);
  const missing = (job: J): number => job.nIds - job.nCached;
  let left = tokenBudget - seated.filter((job) => missing(job) === 1).length;
  const counts = seated.map((job) => {
    if (missing(job) === 1) return { job, count: 1 };
    const count = Math.min(missing(job), left);
    left -= count;
    return { job, count };
  });
  return counts.filter(({ count }) => count > 0);
}

/**
 * Who gives up its rows so that `needy` can have some: a job without a seat, the last by rank; else the last seated one that
 * ranks behind `needy`; else `needy` itself, while others hold rows. Undefined: nobody else holds any, so it can never fit.
 * The first by rank thus only loses its rows while it sits aside, which is why there is always someone who moves on.
 */
export function victimFor<J extends Job>(needy: J, jobs: readonly J[]): J | undefined {
  const holders = jobs.filter((job) => job !== needy && job.hasRows).sort(compareRank);
  const aside = holders.findLast((job) => !job.hasSeat);
  if (aside !== undefined) return aside;
  const last = holders.at(-1);
  return last === undefined || compareRank(last, needy) > 0 ? last : needy;
}

function positive(name: string, value: number): void {
  if (!Number.isSafeInteger(value) || value < 1) {
    throw new ConfigError(`${name} is ${String(value)}, must be an integer from 1`);
  }
}
