import { assert, CapacityError } from '../core/errors.ts';
import type { Batch, Executor, Logits } from '../exec/executor.ts';
import type { KvCache, KvSequence, PrefixScope } from '../kvcache/cache.ts';
import {
  checkLimits,
  checkPriority,
  isPaused,
  type Job,
  type ScheduleLimits,
  seatsFor,
  tokensOfStep,
  victimFor,
} from './schedule.ts';

/** What is to be done for one sequence: the scheduler asks for the next id whenever it has logits. */
export interface Task {
  readonly prompt: readonly number[];
  /** Higher goes first; an integer, see schedule.ts. */
  readonly priority: number;
  /** Who may share its rows, in forms of the cache that find rows again. */
  readonly scope?: PrefixScope | undefined;
  /**
   * Logits [vocab] of the last of `ids` (only valid during the call): gives the next id, null where the sequence ends. What it throws ends
   * this sequence and no other.
   */
  next(logits: Float32Array | Float64Array, ids: readonly number[]): number | null;
  /** Called exactly once, when the job holds nothing any more. */
  onEnd(outcome: Outcome): void;
}

export type Outcome =
  | { readonly kind: 'finished' }
  | { readonly kind: 'cancelled' }
  | { readonly kind: 'failed'; readonly error: unknown };

/** A sequence in the scheduler's care. */
export interface Scheduled extends Job {
  readonly ids: readonly number[];
  readonly isEnded: boolean;
}

/** What a step did. */
export interface StepReport {
  /** Tokens that ran. 0: everybody waits for a reader, or memory was only given back. */
  readonly nTokens: number;
  readonly nSequences: number;
  /** Jobs that lost their rows and will be recomputed. */
  readonly nPreempted: number;
}

/**
 * Runs many sequences, a step at a time: each step is one run of the executor over a few tokens of several sequences. Any
 * mixture gives the bits of each sequence alone (law 2), so whom to run is a question of time and memory only.
 */
export interface Scheduler {
  /** Adds a job; throws ConfigError for its priority. sharesPromptOf: a job of the same prompt, whose rows are forked once they are there. */
  add(task: Task, sharesPromptOf?: Scheduled): Scheduled;
  /** Ends a job; its rows are free at once. Nothing where it has ended. */
  cancel(job: Scheduled): void;
  /** Its reader has taken n pieces. */
  read(job: Scheduled, n: number): void;
  /** One step. Throws only what a broken promise throws: errors of a run end the jobs of that run. */
  step(): StepReport;
  /** Jobs that have not ended, in order of arrival. */
  readonly jobs: readonly Scheduled[];
  /** False: a step would do nothing before a reader reads or a job is added. */
  readonly canMove: boolean;
}

export interface SchedulerParts {
  readonly executor: Pick<Executor, 'run'>;
  readonly cache: KvCache;
  readonly limits: ScheduleLimits;
}

interface Entry {
  readonly index: number;
  readonly priority: number;
  readonly arrivedAt: number;
  readonly task: Task;
  readonly ids: number[];
  nCached: number;
  rows: KvSequence | undefined;
  hasSeat: boolean;
  unread: number;
  waitsForMemory: boolean;
  waitsForPrompt: boolean;
  isEnded: boolean;
  /** Jobs of the same prompt that wait for its rows. */
  followers: Entry[];
  readonly nIds: number;
  readonly hasRows: boolean;
}

export function createScheduler({ executor, cache, limits }: SchedulerParts): Scheduler {
  checkLimits(limits);
  const jobs: Entry[] = [];
  let nAdded = 0;
  let clock = 0;
  let nPreempted = 0;

  const dropRows = (job: Entry): void => {
    if (job.rows !== undefined) cache.release(job.rows);
    job.rows = undefined;
    job.nCached = 0;
  };
  /** Says what its rows are, in forms of the cache that find rows again. */
  const remember = ({ rows, ids, nCached, task }: Entry): void => {
    if (rows !== undefined && nCached > 0) cache.publish?.(rows, ids.slice(0, nCached), task.scope);
  };
  const memoryMayBeFree = (): void => {
    for (const job of jobs) job.waitsForMemory = false;
  };
  const end = (job: Entry, outcome: Outcome): void => {
    if (job.isEnded) return;
    job.isEnded = true;
    job.hasSeat = false;
    if (outcome.kind !== 'failed') remember(job);
    dropRows(job);
    jobs.splice(jobs.indexOf(job), 1);
    handOver(job);
    memoryMayBeFree();
    job.task.onEnd(outcome);
  };
  /** Of the jobs that waited for this one's prompt, the first computes it now and the others wait for that one. */
  const handOver = (job: Entry): void => {
    const [first, ...rest] = job.followers;
    job.followers = [];
    if (first === undefined) return;
    first.waitsForPrompt = false;
    first.followers = rest;
  };
  /** Preemption by recompute: its ids stay, so running them again gives the same rows. */
  const preempt = (job: Entry): void => {
    nPreempted++;
    dropRows(job);
    job.waitsForMemory = job.hasSeat;
    job.hasSeat = false;
  };

  const begin = (job: Entry): void => {
    job.rows = cache.create();
    job.nCached = cache.adoptPrefix?.(job.rows, job.ids, job.task.scope) ?? 0;
  };

  /** Rows for up to `count` more ids of a seated job; gives how many, 0 where it has lost its seat or ended instead. */
  const takeRows = (job: Entry, count: number): number => {
    for (;;) {
      try {
        if (job.rows === undefined) begin(job);
        // Rows that were found need not be computed; and some forms of the cache take only so many at once.
        const taken = Math.min(count, job.nIds - job.nCached, cache.most(job.rows!));
        cache.reserve(job.rows!, taken);
        return taken;
      } catch (error) {
        const victim = error instanceof CapacityError ? victimFor(job, jobs) : undefined;
        if (victim === undefined) end(job, { kind: 'failed', error });
        else preempt(victim);
        if (victim === undefined || victim === job) return 0;
      }
    }
  };

  /** Forks the rows of a prompt for the jobs that wait for it, and hands them its logits. */
  const shareRows = (job: Entry, logits: Float32Array | Float64Array): void => {
    const followers = job.followers;
    job.followers = [];
    for (const follower of followers) {
      follower.waitsForPrompt = false;
      if (follower.isEnded || job.rows === undefined) continue;
      try {
        follower.rows = cache.fork(job.rows);
      } catch (error) {
        if (!(error instanceof CapacityError)) throw error;
        continue; // there is no room for a copy now: it runs the prompt itself, later
      }
      follower.nCached = job.nCached;
      takeNext(follower, logits);
    }
  };

  const takeNext = (job: Entry, logits: Float32Array | Float64Array): void => {
    let id: number | null;
    try {
      id = job.task.next(logits, job.ids);
    } catch (error) {
      end(job, { kind: 'failed', error });
      return;
    }
    if (job.isEnded) return; // cancelled by its own reader
    if (id === null) {
      end(job, { kind: 'finished' });
      return;
    }
    job.ids.push(id);
    job.unread++;
    if (job.ids.length > cache.maxSeq) end(job, { kind: 'failed', error: tooLong(job, cache) });
  };

  /** The runs of a step that failed: too little memory for all at once is met by running fewer. */
  const onFailedRun = (parts: readonly Part[], error: unknown): void => {
    for (const { job } of parts) {
      if (job.rows === undefined) continue;
      // A cache that cannot go back to where it was starts from nothing, and the job's ids are run again.
      if (cache.canTruncate(job.rows, job.nCached)) cache.truncate(job.rows, job.nCached);
      else dropRows(job);
    }
    if (error instanceof CapacityError && parts.length > 1) preempt(parts.at(-1)!.job);
    else for (const { job } of parts) end(job, { kind: 'failed', error });
  };

  return {
    jobs,
    add(task, leader) {
      checkPriority(task.priority);
      const job: Entry = {
        index: nAdded++,
        priority: task.priority,
        arrivedAt: clock,
        task,
        ids: [...task.prompt],
        nCached: 0,
        rows: undefined,
        hasSeat: false,
        unread: 0,
        waitsForMemory: false,
        waitsForPrompt: false,
        isEnded: false,
        followers: [],
        get nIds() {
          return this.ids.length;
        },
        get hasRows() {
          return this.rows !== undefined;
        },
      };
      jobs.push(job);
      if (job.nIds > cache.maxSeq || job.nIds === 0) {
        end(job, { kind: 'failed', error: tooLong(job, cache) });
        return job;
      }
      const owner = leader === undefined ? undefined : entryOf(leader, jobs);
      if (owner !== undefined && owner.nIds === job.nIds && !owner.isEnded) {
        // A job that waits itself passes this one on to the job that it waits for.
        const computes = jobs.find((other) => other.followers.includes(owner)) ?? owner;
        if (computes.nCached < computes.nIds) {
          computes.followers.push(job);
          job.waitsForPrompt = true;
        }
      }
      return job;
    },
    cancel(job) {
      const entry = entryOf(job, jobs);
      if (entry === undefined) return;
      for (const other of jobs) other.followers = other.followers.filter((follower) => follower !== entry);
      end(entry, { kind: 'cancelled' });
    },
    read(job, n) {
      const entry = entryOf(job, jobs);
      if (entry === undefined) return;
      assert(n >= 0 && n <= entry.unread, `${n} pieces were read of ${entry.unread}`);
      entry.unread -= n;
    },
    get canMove() {
      return jobs.some((job) => !isPaused(job, limits) && !job.waitsForPrompt);
    },
    step() {
      clock++;
      nPreempted = 0;
      for (const job of jobs) {
        if (job.hasSeat && isPaused(job, limits)) {
          job.hasSeat = false;
          memoryMayBeFree(); // what it holds can be taken
        }
      }
      for (const job of seatsFor(jobs, limits)) job.hasSeat = true;
      // By rank: who comes first gets memory first, and can only take it from those who come after.
      const parts: Part[] = [];
      for (const { job, count } of tokensOfStep(jobs, limits)) {
        const taken = job.hasSeat ? takeRows(job, count) : 0;
        if (taken > 0) parts.push({ job, count: taken });
      }
      if (parts.length === 0) return { nTokens: 0, nSequences: 0, nPreempted };
      const { batch, ready } = batchOf(parts);
      let logits: Logits;
      try {
        logits = executor.run(batch, cache);
      } catch (error) {
        onFailedRun(parts, error);
        return { nTokens: 0, nSequences: 0, nPreempted };
      }
      for (const { job, count } of parts) job.nCached += count;
      ready.forEach((job, r) => {
        const row = logits.data.subarray(r * logits.vocab, (r + 1) * logits.vocab);
        if (job.followers.length > 0) shareRows(job, row);
        if (!job.isEnded) takeNext(job, row);
      });
      return { nTokens: batch.ids.length, nSequences: parts.length, nPreempted };
    },
  };
}

interface Part {
  readonly job: Entry;
  readonly count: number;
}

/** The next `count` ids of each job, one segment each; logits are asked for where a job's last id is among them. */
function batchOf(parts: readonly Part[]): { batch: Batch; ready: Entry[] } {
  const ids: number[] = [];
  const positions: number[] = [];
  const outRows: number[] = [];
  const ready: Entry[] = [];
  const segments = parts.map(({ job, count }) => {
    const from = ids.length;
    for (let t = 0; t < count; t++) {
      ids.push(job.ids[job.nCached + t]!);
      positions.push(job.nCached + t);
    }
    if (job.nCached + count === job.ids.length) {
      outRows.push(ids.length - 1);
      ready.push(job);
    }
    return { sequence: job.rows!, from, count };
  });
  const batch = {
    ids: Int32Array.from(ids),
    positions: Int32Array.from(positions),
    segments,
    outRows: Int32Array.from(outRows),
  };
  return { batch, ready };
}

function entryOf(job: Scheduled, jobs: readonly Entry[]): Entry | undefined {
  return jobs.find((entry) => entry === job);
}

function tooLong({ nIds }: Job, { maxSeq }: KvCache): CapacityError {
  return new CapacityError(
    `the sequence has ${nIds} tokens, the context has room for 1 to maxSeq=${maxSeq}; raise --max-seq or change the prompt`,
  );
}
