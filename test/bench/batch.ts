import { createScheduler } from '../../src/engine/scheduler.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { type Contender, inTurns, rates, ratios } from './measure.ts';
import { createRunner, type ModelRunner } from './model_runner.ts';

const BATCHES = [1, 2, 4, 8] as const;
const LARGEST = 8;
/** Positions that each sequence has when it decodes. */
const DECODE_AT = 64;
const ANY_ID = 300;
const EIGHT_AT_LEAST = 3;

/** Several sequences in one step: the weights are read once for all of them. */
export const BATCH: Section = { name: 'batch', run: measureBatch };

async function measureBatch({ quick }: Pace): Promise<Table> {
  const runner = await createRunner({ shape: '135m', dtype: 'q4_0', tier: 'auto' });
  const steps = BATCHES.map((n) => decodeOf(runner, n));
  const scheduled = scheduledDecode(runner);
  const times = await inTurns([...steps, scheduled.contender], { turns: quick ? 5 : 15, sampleMs: 200, warmUpMs: 500 });
  runner.executor.dispose();

  const one = rates(times['decode 1']!, 1);
  const figures: Figure[] = BATCHES.map((n) =>
    figure(`decode, ${n} together`, 'tokens/s', rates(times[`decode ${n}`]!, n)),
  );
  for (const n of BATCHES.slice(1)) {
    const target = n === LARGEST ? { atLeast: EIGHT_AT_LEAST } : undefined;
    figures.push(figure(`${n} together / one`, 'x', ratios(rates(times[`decode ${n}`]!, n), one), target));
  }
  figures.push(figure('a step of the scheduler outside the executor', 'ms', scheduled.outsideMs()));
  return {
    title: 'Several sequences in one step',
    note: `Random weights in the shape of SmolLM 135M, Q4_0, ${runner.executor.kernels}, one thread; each sequence has ${DECODE_AT} positions.`,
    figures,
  };
}

function decodeOf({ executor }: ModelRunner, n: number): Contender {
  const cache = executor.createCache(2 * DECODE_AT);
  const sequences = Array.from({ length: n }, () => cache.create());
  const run = (count: number): void => {
    const rows = sequences.flatMap((sequence, i) => {
      const first = cache.length(sequence);
      cache.reserve(sequence, count);
      return Array.from({ length: count }, (_, t) => ({ id: ANY_ID + i + t, position: first + t }));
    });
    executor.run(
      {
        ids: Int32Array.from(rows, ({ id }) => id),
        positions: Int32Array.from(rows, ({ position }) => position),
        segments: sequences.map((sequence, i) => ({ sequence, from: i * count, count })),
        outRows: Int32Array.from(sequences, (_, i) => i * count + count - 1),
      },
      cache,
    );
  };
  run(DECODE_AT);
  return {
    name: `decode ${n}`,
    run() {
      run(1);
      for (const sequence of sequences) cache.truncate(sequence, DECODE_AT);
    },
  };
}

/** Positions of the sequences that the scheduler runs: more than are reached here. */
const SCHEDULED_SEQ = 1024;
/** Compilers optimize what has run. */
const WARM_UP_STEPS = 48;

/** Steps of the scheduler with eight sequences, and what each took besides the executor's run. */
function scheduledDecode({ executor }: ModelRunner): { contender: Contender; outsideMs(): number[] } {
  const outside: number[] = [];
  let insideMs = 0;
  const timedExecutor: Pick<typeof executor, 'run'> = {
    run(...args) {
      const start = performance.now();
      const logits = executor.run(...args);
      insideMs = performance.now() - start;
      return logits;
    },
  };
  const scheduler = createScheduler({
    executor: timedExecutor,
    cache: executor.createCache(SCHEDULED_SEQ),
    limits: { maxBatch: LARGEST, tokenBudget: LARGEST * DECODE_AT, maxUnread: SCHEDULED_SEQ },
  });
  for (let i = 0; i < LARGEST; i++) {
    scheduler.add({
      prompt: Array.from({ length: DECODE_AT }, (_, t) => ANY_ID + t),
      priority: 0,
      next: (_, ids) => (ids.length === SCHEDULED_SEQ ? null : ANY_ID),
      onEnd: () => {},
    });
  }
  for (let step = 0; step < WARM_UP_STEPS; step++) scheduler.step();
  const contender: Contender = {
    name: 'scheduled',
    run() {
      const start = performance.now();
      scheduler.step();
      outside.push(performance.now() - start - insideMs);
    },
  };
  return { contender, outsideMs: () => outside };
}
