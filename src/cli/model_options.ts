import { availableParallelism } from 'node:os';
import { type Command, Option } from 'commander';
import type { LoadOptions, LoraOption } from '../engine/options.ts';
import type { Tier } from '../exec/executor.ts';
import type { KernelChoice } from '../exec/wasm/instantiate.ts';
import type { LoraPath } from '../index.node.ts';
import type { Activations, Sums } from '../ops/linear.ts';
import { collect, collectLora, parseCount, parseNames, parseThreads } from './arguments.ts';
import { type KvFlags, kvOptionsOf } from './kv_options.ts';
import { checkUsage, usageError } from './usage.ts';

export const TIERS = ['wasm', 'naive', 'naive64'] as const satisfies readonly Tier[];
export const KERNELS = ['auto', 'simd', 'relaxed'] as const satisfies readonly KernelChoice[];
export const ACTIVATIONS = ['q8', 'f32'] as const satisfies readonly Activations[];
export const SUMS = ['f32', 'f64'] as const satisfies readonly Sums[];

/** Flags of every command. */
export interface CommonFlags {
  readonly model: string;
  readonly json?: boolean;
  readonly debug?: boolean;
}

/** Flags that decide the graph and its sizes. */
export interface GraphFlags extends CommonFlags {
  readonly activations: Activations;
  readonly sums?: Sums;
  readonly maxSeq?: number;
  readonly disablePass?: readonly string[];
  readonly onlyPasses?: readonly string[];
  readonly approximate?: readonly string[];
  readonly loadGraph?: string;
}

/** Flags of commands that run a model. */
export interface RunFlags extends GraphFlags {
  readonly executor?: Tier;
  readonly threads?: number | 'auto';
  readonly kernels: KernelChoice;
  readonly lora?: readonly LoraPath[];
  readonly loraMerge?: boolean;
}

export function addCommonOptions(command: Command): Command {
  return command
    .option(
      '-m, --model <path>',
      'a GGUF or safetensors file, a Hugging Face folder, hf:owner/repo[:file], or "embedded"',
      'embedded',
    )
    .option('--json', 'print JSON for programs')
    .option('--debug', 'show the stack of an error (also with GLASSFORMER_DEBUG=1)');
}

export function addGraphOptions(command: Command): Command {
  return addCommonOptions(command)
    .addOption(
      new Option('--activations <form>', 'how activations meet block-quantized weights')
        .choices(ACTIVATIONS)
        .default('q8'),
    )
    .addOption(new Option('--sums <form>', 'in what products are summed; f64 takes --activations f32').choices(SUMS))
    .option('--max-seq <n>', "positions of the context (default: the model's own, at most 4096)", parseCount)
    .option('--disable-pass <name>', 'leave a graph pass out (repeatable)', collect)
    .option('--only-passes <names>', 'run these graph passes alone, a,b,c', parseNames)
    .option('--approximate <name>', 'run an approximate pass too: other numbers within a bound (repeatable)', collect)
    .option('--load-graph <path>', 'run a graph that inspect --save-graph wrote, as it is, on any executor');
}

/** How a model runs; commands that run one executor add addExecutorOption. */
export function addRunOptions(command: Command): Command {
  return addGraphOptions(command)
    .addOption(new Option('--kernels <build>', 'which WASM kernels run').choices(KERNELS).default('auto'))
    .option('--threads <n>', 'threads of the wasm executor: a count, or "auto" (default: 1)', parseThreads)
    .option('--lora <file[:scale]>', 'add an adapter: a GGUF file or a folder of PEFT (repeatable)', collectLora)
    .option('--lora-merge', 'add adapters to the weights while they are read; f32, f16 and bf16 models alone');
}

export function addExecutorOption(command: Command): Command {
  return command.addOption(
    new Option('--executor <tier>', 'wasm is fast, naive defines its bits, naive64 is the float64 truth')
      .choices(TIERS)
      .default('wasm'),
  );
}

/**
 * The flags as the engine's load options, checked as far as they can be before a model is known.
 * Throws a usage error.
 */
export async function loadOptionsOf(flags: GraphFlags & Partial<RunFlags> & KvFlags): Promise<LoadOptions> {
  const { checkLoadOptions, threadCount } = await import('../engine/options.ts');
  const { PASSES } = await import('../graph/passes/index.ts');
  const options: LoadOptions = {
    ...(flags.executor !== undefined && { executor: flags.executor }),
    ...(flags.threads !== undefined && { threads: flags.threads }),
    ...(flags.maxSeq !== undefined && { maxSeq: flags.maxSeq }),
    ...(flags.kernels !== undefined && { kernels: flags.kernels }),
    activations: flags.activations,
    ...(flags.sums !== undefined && { sums: flags.sums }),
    disabledPasses: flags.disablePass ?? [],
    approximate: flags.approximate ?? [],
    ...(flags.onlyPasses !== undefined && { onlyPasses: flags.onlyPasses }),
    ...(flags.lora !== undefined && { lora: flags.lora.map(adapterOf) }),
    ...(flags.loraMerge === true && { loraMerge: true }),
    ...kvOptionsOf(flags),
  };
  checkUsage(() => {
    checkLoadOptions(options, Number.MAX_SAFE_INTEGER);
    threadCount(options.threads ?? 1, availableParallelism());
  });
  for (const [flag, names] of [
    ['disable-pass', flags.disablePass] as const,
    ['only-passes', flags.onlyPasses] as const,
  ]) {
    const unknown = names?.find((name) => !PASSES.some((pass) => pass.name === name));
    if (unknown === undefined) continue;
    const known = PASSES.map((pass) => pass.name).join(', ');
    throw usageError(`${flag} is ${JSON.stringify(unknown)}, passes are ${known}`);
  }
  if (flags.loadGraph === undefined) return options;
  if (flags.disablePass ?? flags.onlyPasses ?? flags.approximate) {
    throw usageError('--load-graph runs a graph as it is; leave out --disable-pass, --only-passes and --approximate');
  }
  const { readGraphFile } = await import('./graph_file.ts');
  return { ...options, graph: await readGraphFile(flags.loadGraph) };
}

/** Opened when the model is, so that wrong usage opens nothing. */
function adapterOf({ path, scale = 1 }: LoraPath): LoraOption {
  return { scale, open: async () => (await import('../platform/node.ts')).openNodeAdapter(path) };
}
