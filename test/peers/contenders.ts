import { type Figure, figure, missingFigure, type Target } from '../bench/figures.ts';
import { rates } from '../bench/measure.ts';
import { type EngineProcess, startEngine } from './engine_process.ts';
import type { OpenOptions, Sample } from './engines/engine.ts';
import type { NodeProgram } from './nodes.ts';

/** One engine with one setting. Its process is started late and ended early: models are large. */
export interface Contender {
  readonly name: string;
  readonly engine: 'glassformer' | 'llama_cpp';
  readonly node?: NodeProgram;
  readonly threads: number;
  readonly kernels?: OpenOptions['kernels'];
  /** For the program that runs it. */
  readonly flags?: readonly string[];
}

/** Samples of each work, by turn; or why there are none. */
export interface Runs {
  readonly threads: number;
  readonly process?: Omit<EngineProcess, 'open' | 'prefill' | 'decode' | 'stream' | 'logits' | 'close'>;
  readonly samples: Readonly<Record<Work, readonly Sample[]>>;
  readonly failure?: string;
}

export const WORKS = ['decode', 'prefill', 'stream'] as const;
export type Work = (typeof WORKS)[number];

export interface TurnPlan {
  readonly model: string;
  readonly turns: number;
  readonly decodeTokens: number;
  readonly decodeAfter: number;
  readonly prefillTokens: number;
  /** What is measured; `stream` with the first contender of Glassformer alone. */
  readonly works: readonly Work[];
}

/** Room for the longest prompt and what follows it. */
const MAX_SEQ = 1024;
const WARM_UP = { prefill: 64, decode: 8 };

/**
 * Starts all contenders, runs each work in turns (A B C A B C ...), and ends them. One that fails, at whatever point, is left
 * out from there on, with its reason.
 */
export async function takeTurns(contenders: readonly Contender[], plan: TurnPlan): Promise<Map<string, Runs>> {
  const running = contenders.map((contender) => createRun(contender));
  const streamer = running.find(({ contender }) => contender.engine === 'glassformer');
  const attempt = async (run: Run, work: () => Promise<void>): Promise<void> => {
    if (run.failure !== undefined) return;
    try {
      await work();
    } catch (e) {
      run.failure = firstLine(e);
      process.stderr.write(`peers: ${run.contender.name}: ${run.failure}\n`);
    }
  };
  try {
    for (const run of running) {
      await attempt(run, async () => {
        const { engine, node, threads, kernels, flags } = run.contender;
        const options = { model: plan.model, threads, maxSeq: MAX_SEQ, ...(kernels !== undefined && { kernels }) };
        run.process = await startEngine(engine, options, node?.path, flags);
        await run.process.prefill(WARM_UP.prefill);
        await run.process.decode(WARM_UP.decode, WARM_UP.prefill);
      });
    }
    for (let turn = 0; turn < plan.turns; turn++) {
      for (const work of plan.works) {
        for (const run of running) {
          if (work === 'stream' && run !== streamer) continue;
          await attempt(run, async () => void run.samples[work].push(await runWork(run.process!, work, plan)));
        }
      }
    }
  } finally {
    for (const { process } of running) await process?.close();
  }
  return new Map(running.map((run) => [run.contender.name, { ...run, threads: run.contender.threads }]));
}

interface Run {
  readonly contender: Contender;
  readonly samples: Record<Work, Sample[]>;
  process?: EngineProcess;
  failure?: string;
}

function createRun(contender: Contender): Run {
  return { contender, samples: { decode: [], prefill: [], stream: [] } };
}

function runWork(engine: EngineProcess, work: Work, plan: TurnPlan): Promise<Sample> {
  switch (work) {
    case 'decode':
      return engine.decode(plan.decodeTokens, plan.decodeAfter);
    case 'prefill':
      return engine.prefill(plan.prefillTokens);
    case 'stream':
      return engine.stream();
    default:
      return work satisfies never;
  }
}

/** The message, without the name of its class and without the stack. */
export function firstLine(e: unknown): string {
  const text = e instanceof Error ? e.message : String(e);
  return (text.split('\n').find((line) => line.trim() !== '') ?? 'no reason given')
    .replace(/^(\w*Error: )+/, '')
    .trim();
}

/**
 * Milliseconds of a work by turn: the lesser of the clock's and the processor's, so that other programs do not count; the
 * clock's where `byClock`, since a second thread's time on a processor counts too.
 */
export function millisecondsOf(runs: Runs, work: Work, byClock: boolean): number[] {
  return runs.samples[work].map(({ clockMs, cpuMs }) => (byClock ? clockMs : Math.min(clockMs, cpuMs)));
}

/** A row of tokens per second. */
export function rateFigure(what: string, runs: Runs | undefined, work: Work, nTokens: number): Figure {
  const why = whyMissing(runs, work);
  if (why !== undefined) return missingFigure(what, 'tokens/s', why);
  return figure(what, 'tokens/s', rates(millisecondsOf(runs!, work, runs!.threads > 1), nTokens));
}

/** A row that says how many times faster `ours` is, turn by turn. */
export function ratioFigure(
  what: string,
  ours: Runs | undefined,
  theirs: Runs | undefined,
  work: Work,
  target?: Target,
): Figure {
  const why = whyMissing(ours, work) ?? whyMissing(theirs, work);
  if (why !== undefined) return missingFigure(what, 'x', why, target);
  const byClock = ours!.threads > 1 || theirs!.threads > 1;
  const [a, b] = [millisecondsOf(ours!, work, byClock), millisecondsOf(theirs!, work, byClock)];
  return figure(
    what,
    'x',
    b.map((ms, turn) => ms / a[turn]!),
    target,
  );
}

export function whyMissing(runs: Runs | undefined, work: Work): string | undefined {
  if (runs === undefined) return 'not run';
  return runs.failure ?? (runs.samples[work].length === 0 ? 'not run' : undefined);
}
