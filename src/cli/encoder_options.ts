import { type Command, Option } from 'commander';
import { ConfigError } from '../core/errors.ts';
import type { EncoderLoadOptions } from '../engine/load_encoder.ts';
import type { Tier } from '../exec/executor.ts';
import type { KernelChoice } from '../exec/wasm/instantiate.ts';
import type { Activations, Sums } from '../ops/linear.ts';
import { parseCount, parseThreads } from './arguments.ts';
import type { Io } from './io.ts';
import { downloaded } from './load.ts';
import {
  ACTIVATIONS,
  addCommonOptions,
  addExecutorOption,
  type CommonFlags,
  KERNELS,
  loadOptionsOf,
  SUMS,
} from './model_options.ts';
import { createProgress } from './progress.ts';
import { readText } from './prompt.ts';
import { usageError } from './usage.ts';

/** Flags of the commands that run encoders. */
export interface EncoderFlags extends CommonFlags {
  readonly executor: Tier;
  readonly kernels: KernelChoice;
  readonly activations: Activations;
  readonly sums?: Sums;
  readonly threads?: number | 'auto';
  readonly maxSeq?: number;
  readonly file?: string;
}

export function addEncoderOptions(command: Command): Command {
  return addExecutorOption(addCommonOptions(command))
    .addOption(
      new Option('--activations <form>', 'how activations meet block-quantized weights')
        .choices(ACTIVATIONS)
        .default('q8'),
    )
    .addOption(new Option('--sums <form>', 'in what products are summed; f64 takes --activations f32').choices(SUMS))
    .addOption(new Option('--kernels <build>', 'which WASM kernels run').choices(KERNELS).default('auto'))
    .option('--threads <n>', 'threads of the wasm executor: a count, or "auto" (default: 1)', parseThreads)
    .option('--max-seq <n>', "tokens that a text may have (default: the model's own, at most 4096)", parseCount);
}

/** Loads an encoder for a command, with the bar on stderr. Throws what loading throws. */
export async function loadEncoderForCommand<M>(
  io: Io,
  flags: EncoderFlags,
  load: (model: string, options: EncoderLoadOptions) => Promise<M>,
): Promise<M> {
  if (flags.model === 'embedded') {
    throw usageError('there is no encoder in the package; give one with --model: a GGUF file or a Hugging Face folder');
  }
  const options = await loadOptionsOf(flags);
  const model = await downloaded(io, flags.model);
  const progress = createProgress(io);
  const { onProgress, onMemoryNeed } = progress;
  const onNotice = (line: string): void => void io.stderr.write(`${line}\n`);
  try {
    return await load(model, { ...options, signal: io.signal, onProgress, onMemoryNeed, onNotice });
  } finally {
    progress.done();
  }
}

/** A bar over texts instead of bytes: "embedding [####......]  45%  120 texts of 266 texts, 60 texts/s". */
export function textProgress(io: Io, work: string): { onProgress(done: number, total: number): void; done(): void } {
  const bar = createProgress(io, work, (n) => `${n} texts`);
  return {
    onProgress: (doneBytes, totalBytes) => bar.onProgress({ doneBytes, totalBytes, what: work }),
    done: bar.done,
  };
}

/**
 * The texts that a command was given: its words, or a file with one a line; of a .jsonl file each line is a JSON text, or an
 * object that has it as "text". Empty lines are skipped. Throws a usage error for both, for none, and for a wrong line by its number.
 */
export async function textsOf(
  io: Io,
  words: readonly string[],
  file: string | undefined,
  what: string,
): Promise<string[]> {
  if (words.length > 0 === (file !== undefined)) throw usageError(`give ${what}s as arguments, or --file`);
  if (file === undefined) return [...words];
  const lines = (await readText(io, file)).replace(/^\ufeff/, '').split(/\r?\n/);
  const isJson = file.toLowerCase().endsWith('.jsonl');
  const texts = lines.flatMap((line, i) => {
    if (line.trim() === '') return [];
    try {
      return [isJson ? textOfJson(line) : line];
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      throw usageError(`${file}: line ${i + 1}: ${error.message}`);
    }
  });
  if (texts.length === 0) throw usageError(`${file}: has no ${what}s; write one a line`);
  return texts;
}

function textOfJson(line: string): string {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch (error) {
    throw new ConfigError(`is not JSON (${(error as Error).message}); give {"text": "..."}`);
  }
  const text = typeof value === 'object' && value !== null ? (value as { text?: unknown }).text : value;
  if (typeof text === 'string' && text.trim() !== '') return text;
  throw new ConfigError(`has no text; give {"text": "..."}`);
}
