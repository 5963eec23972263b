import { ConfigError, KernelError, ShapeError } from '../core/errors.ts';
import type { Host } from '../core/host.ts';
import type { Executor } from '../exec/executor.ts';
import type { KvCache, PrefixScope } from '../kvcache/cache.ts';
import { DEFAULT_SAMPLING } from '../sample/options.ts';
import type { FinishReason } from '../sample/stopping.ts';
import type { Summary } from './generate.ts';
import type { LoadForms } from './lazy_forms.ts';
import { createPieceMaker, type GenerateOptions, type Piece, type PieceMakerParts } from './next_piece.ts';
import type { Prompt } from './prompt.ts';
import { sampleSeed } from './sample_seed.ts';
import { checkSamples, isSamples } from './schedule.ts';
import { createScheduler, type Scheduled, type Scheduler } from './scheduler.ts';

/** One of many: a prompt with its own options, seed, signal. */
export interface ManyRequest extends GenerateOptions {
  readonly prompt: Prompt;
  /** Higher goes first: an integer in -1000..1000, 0 unless said. docs/scheduling.md says what a level is worth. */
  readonly priority?: number;
  /** Samples of this prompt, 1 unless said. Sample k is the run with the seed `sampleSeed(seed, k)`; the prompt is run once. */
  readonly n?: number;
  /** Whose pages it may share, in forms of the cache that find pages again. */
  readonly salt?: string;
}

export interface ManyOptions {
  /** Most sequences in one step. */
  readonly maxBatch?: number;
  /** Most tokens in one step: one for each sequence that generates, the others are of prompts. */
  readonly tokenBudget?: number;
  /** Ends everything. */
  readonly signal?: AbortSignal | undefined;
}

/**
 * What happened to sample `sample` of request `index`: a piece; or its end, exactly once, by a summary or by an error (one of
 * the six, or the reason of its own signal). An error of one request does not touch the others.
 */
export type ManyEvent = { readonly index: number; readonly sample: number } & (
  | { readonly piece: Piece }
  | { readonly summary: Summary }
  | { readonly error: unknown }
);

/** Weights are read once for all sequences of a step. Beyond about so many the work on each one counts more than that. */
export const DEFAULT_MAX_BATCH = 8;

/** With the forms that the requests ask for. */
type ReadyParts = Omit<ManyParts, 'forms'> & PieceMakerParts;

export interface ManyParts extends Omit<PieceMakerParts, 'forms'> {
  readonly forms: LoadForms;
  readonly executor: Executor;
  readonly cache: KvCache;
  readonly host: Host;
  readonly vocab: number;
  readonly prefillChunk: number;
  promptIds(prompt: Prompt): number[];
  diagnose(ids: readonly number[]): Promise<never>;
}

/**
 * Runs many requests together and tells what happens, as it happens. Each has the text that `generate` gives it alone, bit for
 * bit. Nothing runs while nobody reads: a step is made when the events of the one before were taken.
 * Throws ConfigError for options out of range, and the reason of `options.signal`. Ends all that runs when it is left early.
 */
export async function* generateMany(
  parts: ManyParts,
  requests: Iterable<ManyRequest>,
  options: ManyOptions = {},
): AsyncGenerator<ManyEvent, void, void> {
  const { executor, cache, host, prefillChunk } = parts;
  const maxBatch = options.maxBatch ?? DEFAULT_MAX_BATCH;
  const tokenBudget = options.tokenBudget ?? prefillChunk + maxBatch;
  // The one reader takes all pieces of a step before the next step, so nobody is ever more than one behind.
  const scheduler = createScheduler({ executor, cache, limits: { maxBatch, tokenBudget, maxUnread: 2 } });
  const events: (ManyEvent & { readonly diagnose?: readonly number[] })[] = [];
  const running: Running[] = [];
  try {
    let index = 0;
    const all = [...requests];
    const ready = { ...parts, forms: await parts.forms(all) };
    for (const request of all) submit(ready, scheduler, request, index++, { events, running });
    while (scheduler.jobs.length > 0 || events.length > 0) {
      options.signal?.throwIfAborted();
      for (const { job, signal } of running) if (signal?.aborted) scheduler.cancel(job);
      scheduler.step();
      for (const event of events.splice(0)) yield await explained(event, parts);
      for (const { job } of running) scheduler.read(job, job.unread);
      removeEnded(running);
      await host.pause();
    }
  } finally {
    for (const job of [...scheduler.jobs]) scheduler.cancel(job);
  }
}

interface Running {
  readonly job: Scheduled;
  readonly signal: AbortSignal | undefined;
}

interface Books {
  readonly events: (ManyEvent & { readonly diagnose?: readonly number[] })[];
  readonly running: Running[];
}

/** Adds the samples of one request. What is wrong with it is an event of its own. */
function submit(parts: ReadyParts, scheduler: Scheduler, request: ManyRequest, index: number, books: Books): void {
  const { host, vocab } = parts;
  const { priority = 0, n = 1, seed = DEFAULT_SAMPLING.seed, signal, salt } = request;
  let leader: Scheduled | undefined;
  for (let sample = 0; sample < (isSamples(n) ? n : 1); sample++) {
    const at = { index, sample };
    try {
      checkSamples(n);
      signal?.throwIfAborted();
      if (request.speculate !== undefined) {
        throw new ConfigError('speculate is for one sequence alone; leave it out of the requests of generateMany');
      }
      if (request.beams !== undefined || request.lengthPenalty !== undefined) {
        throw new ConfigError(
          'beams are hypotheses of one prompt alone; leave them out of the requests of generateMany',
        );
      }
      if (request.overflow !== undefined) {
        throw new ConfigError('overflow is for one sequence alone; leave it out of the requests of generateMany');
      }
      const prompt = parts.promptIds(request.prompt);
      const foreign = prompt.find((id) => !(Number.isInteger(id) && id >= 0 && id < vocab));
      if (foreign !== undefined) throw new ShapeError(`token id ${foreign} is outside the vocabulary 0..${vocab - 1}`);
      const pieces = createPieceMaker(parts, prompt, { ...request, seed: sampleSeed(seed, sample) });
      const scope: PrefixScope = { salt, priority };
      const start = host.now();
      let promptDone = start;
      let genTokens = 0;
      let finishReason: FinishReason | undefined;
      const job = scheduler.add(
        {
          prompt,
          priority,
          scope,
          next(logits, ids) {
            if (genTokens++ === 0) promptDone = host.now();
            const next = pieces.next(logits, ids);
            ({ finishReason } = next);
            books.events.push({ ...at, piece: next.piece });
            return finishReason === undefined ? next.piece.id : null;
          },
          onEnd(outcome) {
            if (outcome.kind === 'finished') {
              const { isComplete } = pieces;
              const summary = {
                finishReason: finishReason!,
                promptTokens: prompt.length,
                promptMs: promptDone - start,
                genTokens,
                genMs: host.now() - promptDone,
                ...(isComplete !== undefined && { isComplete }),
              };
              books.events.push({ ...at, summary });
            } else if (outcome.kind === 'failed') {
              // A sampler that meets a logit that is no number knows no more than that; the cause is looked for.
              const ids = outcome.error instanceof KernelError && { diagnose: job?.ids ?? prompt };
              books.events.push({ ...at, error: outcome.error, ...ids });
            } else if (signal?.aborted) {
              books.events.push({ ...at, error: signal.reason });
            }
          },
        },
        leader,
      );
      leader ??= job;
      books.running.push({ job, signal });
    } catch (error) {
      books.events.push({ ...at, error });
    }
  }
}

async function explained(
  { diagnose, ...event }: ManyEvent & { readonly diagnose?: readonly number[] },
  parts: ManyParts,
): Promise<ManyEvent> {
  if (diagnose === undefined) return event;
  try {
    return await parts.diagnose(diagnose);
  } catch (error) {
    return { ...event, error } as ManyEvent;
  }
}

function removeEnded(running: Running[]): void {
  for (let i = running.length - 1; i >= 0; i--) if (running[i]!.job.isEnded) running.splice(i, 1);
}
