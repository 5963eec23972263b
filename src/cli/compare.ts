import { type Command, Option } from 'commander';
import type { BitReport, DistanceReport, Unmatched } from '../exec/compare.ts';
import type { Tier } from '../exec/executor.ts';
import type { ChooseNext, Steps } from '../exec/record_steps.ts';
import type { KernelChoice } from '../exec/wasm/instantiate.ts';
import type { Activations, Sums } from '../ops/linear.ts';
import { parseCount, parseIds } from './arguments.ts';
import { plural, printable, table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { loadForCommand } from './load.ts';
import { ACTIVATIONS, addRunOptions, KERNELS, loadOptionsOf, type RunFlags, SUMS, TIERS } from './model_options.ts';
import { noteIfSlow } from './progress.ts';
import { type PromptInput, promptIds, readPrompt } from './prompt.ts';
import { REPORTED_FAILURE } from './usage.ts';

interface Flags extends RunFlags {
  readonly a: Tier;
  readonly b: Tier;
  readonly kernelsA?: KernelChoice;
  readonly kernelsB?: KernelChoice;
  readonly activationsA?: Activations;
  readonly activationsB?: Activations;
  readonly sumsA?: Sums;
  readonly sumsB?: Sums;
  readonly ids?: readonly number[];
  readonly file?: string;
  readonly raw?: boolean;
  readonly steps: number;
  readonly sameGraph?: boolean;
}

const DEFAULT_STEPS = 4;

const EXAMPLES = `
Runs the prompt and then some decode steps on both, and holds every value of b against the value of that name in a.
Equal bits: exit code 0; else the first value that differs, and exit code 1. The decode steps take a's likeliest tokens on
both sides. With naive64 on one side it measures how far the other one is from it, without a verdict.

Examples:
  glassformer compare --ids 0,305,318
  glassformer compare --a wasm --kernels-a simd --b wasm --kernels-b relaxed --ids 0,305 --steps 8
  glassformer compare --a naive --b naive64 --activations f32 "One day" --json
`;

export function defineCompare(command: Command, io: Io): void {
  command
    .argument('[prompt...]', 'the text; without one, the start token alone')
    .addOption(new Option('--a <tier>', 'the executor that is the reference').choices(TIERS).default('naive'))
    .addOption(new Option('--b <tier>', 'the executor that is held against it').choices(TIERS).default('wasm'))
    .option('--ids <list>', 'exact token ids, 1,2,3', parseIds)
    .option('-f, --file <path>', 'the text from a file, "-" for standard input')
    .option('--raw', 'the exact text, without the start token')
    .option('--steps <n>', 'decode steps after the prompt', parseCount, DEFAULT_STEPS)
    .option('--same-graph', 'both run the graph as the model states it, before any pass')
    .addOption(new Option('--kernels-a <build>', 'kernels of a alone').choices(KERNELS))
    .addOption(new Option('--kernels-b <build>', 'kernels of b alone').choices(KERNELS))
    .addOption(new Option('--activations-a <form>', 'activations of a alone').choices(ACTIVATIONS))
    .addOption(new Option('--activations-b <form>', 'activations of b alone').choices(ACTIVATIONS))
    .addOption(new Option('--sums-a <form>', 'sums of a alone').choices(SUMS))
    .addOption(new Option('--sums-b <form>', 'sums of b alone').choices(SUMS));
  addRunOptions(command);
  command.addHelpText('after', EXAMPLES).action(async (words: string[], flags: Flags) => {
    if (!(await compare(io, words, flags))) throw REPORTED_FAILURE;
  });
}

/** One executor's side of a comparison. */
interface Side {
  readonly executor: Tier;
  readonly kernels: string;
  readonly activations: Activations;
  readonly sums: Sums;
}

interface Recorded {
  readonly side: Side;
  readonly steps: Steps;
  readonly chosen: readonly number[];
}

/** False where bits differ. */
async function compare(io: Io, words: readonly string[], flags: Flags): Promise<boolean> {
  const input = await readPrompt(io, { words, ...flags });
  const { greedily } = await import('../exec/record_steps.ts');
  const sideFlags = (executor: Tier, kernels?: KernelChoice, activations?: Activations, sums = flags.sums): Flags => ({
    ...flags,
    executor,
    kernels: kernels ?? flags.kernels,
    activations: activations ?? flags.activations,
    ...(sums !== undefined && { sums }),
  });
  // One after the other, so that there is one model in memory at a time.
  const flagsB = sideFlags(flags.b, flags.kernelsB, flags.activationsB, flags.sumsB);
  await loadOptionsOf(flagsB);
  const flagsA = sideFlags(flags.a, flags.kernelsA, flags.activationsA, flags.sumsA);
  const a = await record(io, input, flagsA, greedily(flags.steps));
  const b = await record(io, input, flagsB, (step) => a.chosen[step] ?? null);

  const { compareBits, measureDistances } = await import('../exec/compare.ts');
  if ((flags.a === 'naive64') !== (flags.b === 'naive64')) {
    const [values, truth] = flags.a === 'naive64' ? [b, a] : [a, b];
    const report = measureDistances(values.steps, truth.steps);
    if (flags.json === true) writeJson(io.stdout, { a: a.side, b: b.side, ...distanceJson(report) });
    else io.stdout.write(distanceText(report));
    return true;
  }
  const report = compareBits(a.steps, b.steps);
  if (flags.json === true) writeJson(io.stdout, { a: a.side, b: b.side, ...bitsJson(report) });
  else io.stdout.write(bitsText(report));
  return report.differences.length === 0;
}

async function record(io: Io, input: PromptInput, flags: Flags, choose: ChooseNext): Promise<Recorded> {
  const { PASSES } = await import('../graph/passes/index.ts');
  const { recordSteps } = await import('../exec/record_steps.ts');
  const options = await loadOptionsOf(flags);
  await using model = await loadForCommand(io, flags.model, {
    ...options,
    ...(flags.sameGraph === true && { disabledPasses: PASSES.map((pass) => pass.name) }),
  });
  const { kernels, maxSeq, tier } = model.info;
  const done = noteIfSlow(io, `running ${kernels}`);
  try {
    const turn = async (): Promise<void> => {
      await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is noticed here
      io.signal.throwIfAborted();
    };
    const { steps, chosen } = await recordSteps(model.executor, promptIds(model, input), choose, maxSeq, turn);
    return {
      side: { executor: tier, kernels, activations: flags.activations, sums: flags.sums ?? 'f32' },
      steps,
      chosen,
    };
  } finally {
    done();
  }
}

function bitsJson({ nTensors, onlyInA, onlyInB, differences }: BitReport): object {
  const nDifferent = differences.length;
  return { equal: nDifferent === 0, nTensors, nDifferent, first: differences[0] ?? null, onlyInA, onlyInB };
}

function distanceJson({ nTensors, onlyInA, onlyInB, distances }: DistanceReport): object {
  return { equal: null, nTensors, distances, onlyInA, onlyInB };
}

function bitsText({ nTensors, onlyInA, onlyInB, differences }: BitReport): string {
  const rest = unmatchedText('a', onlyInA) + unmatchedText('b', onlyInB);
  const [first] = differences;
  if (first === undefined) return `equal bits, ${plural(nTensors, 'tensor')}\n${rest}`;
  const { run, name, op, shapeA, shapeB, elements } = first;
  const where = `${printable(name)} (${op}), ${run === 0 ? 'the prompt' : `decode step ${run}`}`;
  const rows =
    elements === null
      ? [['shapes', `a [${shapeA.join(', ')}], b [${shapeB.join(', ')}]`]]
      : [
          ['shape', `[${shapeA.join(', ')}]`],
          ['first at', `${elements.index} of ${elements.nElements}`],
          ['a', `${elements.a}`, elements.aBits],
          ['b', `${elements.b}`, elements.bBits],
          ['elements', `${elements.nDiffer} differ, by ${elements.maxAbs} at most`],
        ];
  const count = `${differences.length} of ${plural(nTensors, 'tensor')} differ`;
  return `first difference: ${where}\n${table(rows.map((row) => [`  ${row[0]}`, ...row.slice(1)]))}${count}\n${rest}`;
}

function distanceText({ nTensors, onlyInA, onlyInB, distances }: DistanceReport): string {
  const header = ['run', 'tensor', 'op', 'max abs', 'max relative'];
  const rows = distances.map((d) => [
    String(d.run),
    printable(d.name),
    d.op,
    d.maxAbs.toExponential(2),
    d.maxRelative.toExponential(2),
  ]);
  const title = `distance from naive64, ${plural(nTensors, 'tensor')}\n`;
  return (
    title +
    table([header, ...rows], [0, 3, 4]) +
    unmatchedText('the f32 side', onlyInA) +
    unmatchedText('naive64', onlyInB)
  );
}

function unmatchedText(side: string, unmatched: readonly Unmatched[]): string {
  if (unmatched.length === 0) return '';
  const names = unmatched.slice(0, 3).map((u) => printable(u.name));
  const more = unmatched.length > names.length ? ', ...' : '';
  return `in ${side} only, since a pass merged or moved it: ${plural(unmatched.length, 'value')} (${names.join(', ')}${more})\n`;
}
