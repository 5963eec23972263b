import type { KernelBuild } from '../../src/core/host.ts';
import { createNodeHost } from '../../src/platform/node.ts';
import type { PackableDType } from '../../src/quant/formats.ts';
import { type Figure, figure, type Pace, type Section, type Table } from './figures.ts';
import { loadLadder } from './ladder.ts';
import { inTurns, rates, ratios } from './measure.ts';
import { createRunner, type ModelRunner } from './model_runner.ts';

const DTYPES: readonly PackableDType[] = ['q8_0', 'q4_0'];
const PROMPT = 128;

/** Plain SIMD beside relaxed SIMD, where weights are quantized: the same bits, by other instructions. */
export const BUILDS: Section = { name: 'builds', run: measureBuilds };

async function measureBuilds({ quick }: Pace): Promise<Table> {
  const table: Omit<Table, 'figures'> = {
    title: 'A 135M-parameter model in q8_0 and q4_0: plain and relaxed SIMD',
    note: `Activations q8, one thread; prefill of ${PROMPT} tokens.`,
  };
  const relaxed = await createNodeHost().kernelModule('relaxed', 'core');
  const builds: KernelBuild[] = ['simd'];
  let skipped: string | undefined;
  if (relaxed instanceof Uint8Array && WebAssembly.validate(relaxed)) builds.push('relaxed');
  else skipped = 'relaxed: this host does not validate relaxed SIMD';

  const ladder = await loadLadder();
  const figures: Figure[] = [];
  for (const dtype of DTYPES) {
    const runners: { tier: KernelBuild; runner: ModelRunner }[] = [];
    for (const tier of builds) runners.push({ tier, runner: await createRunner({ shape: '135m', dtype, tier }) });
    const times = await inTurns(
      [
        ladder.stream,
        ...runners.flatMap(({ tier, runner }) => [
          runner.decode(`decode ${tier}`),
          runner.prefill(`prefill ${tier}`, PROMPT),
        ]),
      ],
      { turns: quick ? 5 : 15, sampleMs: 20, warmUpMs: 500 },
    );
    const stream = rates(times['stream']!, ladder.stream.gb);
    for (const { tier, runner } of runners) {
      const decode = times[`decode ${tier}`]!;
      figures.push(
        figure(`${dtype} prefill, ${tier}`, 'tokens/s', rates(times[`prefill ${tier}`]!, PROMPT)),
        figure(`${dtype} decode, ${tier}`, 'tokens/s', rates(decode, 1)),
        figure(`${dtype} decode, ${tier}: share of the stream read`, 'x', ratios(rates(decode, runner.gb), stream)),
      );
      runner.executor.dispose();
    }
    if (builds.length < 2) continue;
    for (const what of ['prefill', 'decode']) {
      figures.push(
        figure(`${dtype} ${what}, relaxed / simd`, 'x', ratios(times[`${what} simd`]!, times[`${what} relaxed`]!)),
      );
    }
  }
  return { ...table, figures, skipped };
}
