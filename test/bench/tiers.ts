import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { loadLadder } from './ladder.ts';
import { inTurns, rates, ratios } from './measure.ts';
import { createRunner } from './model_runner.ts';

/** Long enough to be matrix x matrix work, short enough for the plain loops. */
const SHARED_PROMPT = 32;
const LONG_PROMPTS = [128, 512] as const;
const PREFILL_AT_LEAST = 25;
const STREAM_SHARE_AT_LEAST = 0.7;

/** The wasm tier beside its definition, on a whole model in f32. */
export const TIERS: Section = { name: 'tiers', run: measureTiers };

async function measureTiers({ quick }: Pace): Promise<Table> {
  const ladder = await loadLadder();
  const wasm = await createRunner({ shape: '135m', dtype: 'f32', tier: 'auto' });
  const naive = await createRunner({ shape: '135m', dtype: 'f32', tier: 'naive' });

  const slow = await inTurns(
    [
      wasm.prefill('wasm prefill', SHARED_PROMPT),
      naive.prefill('naive prefill', SHARED_PROMPT),
      wasm.decode('wasm decode'),
      naive.decode('naive decode'),
    ],
    { turns: quick ? 1 : 3, sampleMs: 0, warmUpMs: 0 },
  );
  const fast = await inTurns(
    [ladder.stream, wasm.decode('decode'), ...LONG_PROMPTS.map((n) => wasm.prefill(`prefill ${n}`, n))],
    { turns: quick ? 5 : 15, sampleMs: 0, warmUpMs: 500 },
  );
  wasm.executor.dispose();

  const tokens = (times: readonly number[], n: number): number[] => rates(times, n);
  const decode = rates(fast['decode']!, wasm.gb);
  const stream = rates(fast['stream']!, ladder.stream.gb);
  const figures: Figure[] = [
    figure(`prefill of ${SHARED_PROMPT}, naive`, 'tokens/s', tokens(slow['naive prefill']!, SHARED_PROMPT)),
    figure(`prefill of ${SHARED_PROMPT}, wasm`, 'tokens/s', tokens(slow['wasm prefill']!, SHARED_PROMPT)),
    figure(`prefill of ${SHARED_PROMPT}, wasm / naive`, 'x', ratios(slow['naive prefill']!, slow['wasm prefill']!), {
      atLeast: PREFILL_AT_LEAST,
    }),
    ...LONG_PROMPTS.map((n) => figure(`prefill of ${n}, wasm`, 'tokens/s', tokens(fast[`prefill ${n}`]!, n))),
    figure('decode, naive', 'tokens/s', tokens(slow['naive decode']!, 1)),
    figure('decode, wasm', 'tokens/s', tokens(fast['decode']!, 1)),
    figure('decode, wasm / naive', 'x', ratios(slow['naive decode']!, slow['wasm decode']!)),
    figure('decode, wasm: weights read', 'GB/s', decode),
    figure('stream read', 'GB/s', stream),
    figure('decode, wasm: share of the stream read', 'x', ratios(decode, stream), { atLeast: STREAM_SHARE_AT_LEAST }),
  ];
  return {
    title: 'A 135M-parameter model in f32: wasm and naive',
    note: `Random weights in the shape of SmolLM 135M, ${wasm.executor.kernels}, one thread; both tiers run the same optimized graph.`,
    figures,
  };
}
