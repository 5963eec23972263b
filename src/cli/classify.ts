import { stat } from 'node:fs/promises';
import type { Command } from 'commander';
import { Option } from 'commander';
import { ConfigError, isGlassformerError } from '../core/errors.ts';
import type { Classification } from '../engine/image_classifier.ts';
import type { Tier } from '../exec/executor.ts';
import type { KernelChoice } from '../exec/wasm/instantiate.ts';
import { parsePositive, parseThreads } from './arguments.ts';
import type { PictureModel } from './classify_model.ts';
import { printable } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { downloaded } from './load.ts';
import { addCommonOptions, addExecutorOption, type CommonFlags, KERNELS, loadOptionsOf } from './model_options.ts';
import { createProgress } from './progress.ts';
import { styleOf } from './style.ts';
import { REPORTED_FAILURE } from './usage.ts';

interface Flags extends CommonFlags {
  readonly executor: Tier;
  readonly kernels: KernelChoice;
  readonly threads?: number | 'auto';
  readonly top: number;
  readonly labels?: readonly string[];
  readonly template?: string;
}

const DEFAULT_TOP = 10;
/** Digits that people read; --json has all. */
const SHOWN_DIGITS = 4;
/** Photographs are below 50 MB. */
const MAX_FILE_BYTES = 1 << 28;

const EXAMPLES = `
A CLIP knows no labels of its own: --labels may be any words, each a text like "a photo of a cat".
PNG and JPEG are decoded by the program itself, other formats with the package "sharp" where it is installed.
A picture that cannot be read is told on stderr; the others are classified, and the exit code is 1.

Examples:
  glassformer classify photo.jpg
  glassformer classify --top 3 photo.jpg other.png
  glassformer classify --labels cat,dog --json photo.jpg
  glassformer classify --model clip-folder --labels "a cat,a dog" photo.jpg
`;

export function defineClassify(command: Command, io: Io): void {
  command
    .argument('<image...>', 'PNG or JPEG files')
    .option('--top <n>', 'how many of the likeliest labels to list', parsePositive, DEFAULT_TOP)
    .option('--labels <list>', 'only these labels compete, a,b,c; of a CLIP any words', splitLabels)
    .option('--template <text>', 'of a CLIP: the text of a label, which goes to its {} (default: "a photo of a {}")');
  addExecutorOption(addCommonOptions(command))
    .addOption(new Option('--kernels <build>', 'which WASM kernels run').choices(KERNELS).default('auto'))
    .option('--threads <n>', 'threads of the wasm executor: a count, or "auto" (default: 1)', parseThreads);
  command.addHelpText('after', EXAMPLES).action((files: string[], flags: Flags) => classify(io, files, flags));
}

function splitLabels(text: string): string[] {
  return text.split(',').map((label) => label.trim());
}

type Answer = { readonly file: string } & (Classification | { readonly error: string });

async function classify(io: Io, files: readonly string[], flags: Flags): Promise<void> {
  const options = await loadOptionsOf({ ...flags, activations: 'q8' });
  const progress = createProgress(io);
  const onNotice = (line: string): void => void io.stderr.write(`${line}\n`);
  const { onProgress, onMemoryNeed } = progress;
  const loading = { ...options, signal: io.signal, onProgress, onMemoryNeed, onNotice };
  const { loadForPictures } = await import('./classify_model.ts');
  const path = await downloaded(io, flags.model);
  await using model = await loadForPictures(path, loading, flags).finally(() => progress.done());

  const answers: Answer[] = [];
  for (const file of files) {
    io.signal.throwIfAborted();
    const answer = await answerFor(model, file, flags);
    answers.push(answer);
    if ('error' in answer) {
      io.stderr.write(`${styleOf(io.stderr, io.env).red('error:')} ${printable(answer.error)}\n`);
    } else if (flags.json !== true) {
      const head = files.length > 1 ? `${printable(file)}: ` : '';
      io.stdout.write(`${head}${printable(probsText(answer))}\n${head}${printable(answer.sentence)}\n`);
    }
  }
  if (flags.json === true) writeJson(io.stdout, answers.map(jsonOf));
  if (answers.some((answer) => 'error' in answer)) throw REPORTED_FAILURE;
}

/** One picture's answer, or why there is none. Ctrl-C and failures of our own are thrown. */
async function answerFor(model: PictureModel, file: string, { top }: Flags): Promise<Answer> {
  try {
    const { probs, sentence } = await model.classify(await readPicture(file), file);
    return { file, probs: probs.slice(0, top), sentence };
  } catch (e) {
    if (isGlassformerError(e)) return { file, error: e.message };
    throw e;
  }
}

/** Throws CapacityError, before reading, for a file that is no photograph by its size. */
async function readPicture(file: string): Promise<Uint8Array> {
  const { openNodeFile } = await import('../platform/node_file.ts');
  const isFolder = await stat(file).then(
    (found) => found.isDirectory(),
    () => false, // what is not there is told where it is opened
  );
  if (isFolder) throw new ConfigError(`${file}: it is a folder; give the pictures in it`);
  const { readAll } = await import('../load/read_all.ts');
  const source = await openNodeFile(file);
  try {
    return await readAll(source, MAX_FILE_BYTES);
  } finally {
    await source.close();
  }
}

/** {"cat": 0.8681, "dog": 0.0544, ...}: in the order of the probabilities, which an object would lose for labels like "1". */
function probsText({ probs }: Classification): string {
  return `{${probs.map(({ label, prob }) => `${JSON.stringify(label)}: ${Number(prob.toFixed(SHOWN_DIGITS))}`).join(', ')}}`;
}

function jsonOf(answer: Answer): object {
  if ('error' in answer) return answer;
  const { file, probs, sentence } = answer;
  return { file, probs: Object.fromEntries(probs.map(({ label, prob }) => [label, prob])), sentence };
}
