import type { Command } from 'commander';
import { parseCount, parseIds } from './arguments.ts';
import { collectPieces, type Generated } from './collect_pieces.ts';
import { COMMANDS } from './command_list.ts';
import { figuresLine } from './figures.ts';
import { printable, printableText, table } from './format.ts';
import { INTERRUPTED, type Io } from './io.ts';
import { writeJson } from './json.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { noteIfSlow } from './progress.ts';
import { promptIds, readPrompt } from './prompt.ts';
import { addSamplingOptions, type SamplingFlags, samplingOf } from './sampling_options.ts';
import { styleOf } from './style.ts';
import { usageError } from './usage.ts';

interface Flags extends RunFlags, SamplingFlags {
  readonly ids?: readonly number[];
  readonly file?: string;
  readonly raw?: boolean;
  readonly logprobs?: number;
}

const EXAMPLES = `
Examples:
  glassformer generate "Once there was a fox"
  glassformer generate --temperature 0 --max-tokens 50 "One day"
  glassformer generate --seed 7 --top-p 0.9 --stop "The end" "Tom and his dog"
  glassformer generate --file prompt.txt --json
  glassformer generate --model model.gguf --ids 0,305,318 --logprobs 3
`;

/** isImplied: the word "generate" was not written, the words are the prompt. */
export function defineGenerate(command: Command, io: Io, isImplied: boolean): void {
  command.argument('[prompt...]', 'the text to continue; without one, the model begins by itself');
  command
    .option('--ids <list>', 'the prompt as exact token ids, 1,2,3', parseIds)
    .option('-f, --file <path>', 'the prompt from a file, "-" for standard input')
    .option('--raw', 'the exact text, without the start token')
    .option('--logprobs <n>', 'list the n likeliest tokens of each step', parseCount);
  addSamplingOptions(command);
  addExecutorOption(addRunOptions(command));
  command.addHelpText('after', EXAMPLES).action(async (words: string[], flags: Flags) => {
    if (isImplied) refuseLateCommand(words);
    await generate(io, words, flags);
  });
}

async function generate(io: Io, words: readonly string[], flags: Flags): Promise<void> {
  const { seed, ...sampling } = samplingOf(flags);
  const options = await loadOptionsOf(flags);
  const input = await readPrompt(io, { words, ...flags });
  await using model = await loadForCommand(io, flags.model, options);
  const ids = promptIds(model, input);
  using session = model.createSession();

  const style = styleOf(io.stderr, io.env);
  if (io.stdout.isTerminal && io.stderr.isTerminal && 'text' in input) {
    io.stderr.write(style.dim(printableText(input.text))); // the text so far, so that its continuation reads on
  }
  const promptRead = noteIfSlow(io, `reading the prompt, ${ids.length} tokens`);
  const show = (text: string): void => {
    promptRead();
    if (flags.json !== true) io.stdout.write(io.stdout.isTerminal ? printableText(text) : text);
  };
  let result: Generated;
  try {
    const generation = model.generateIn(session, ids, {
      ...sampling,
      seed,
      stop: flags.stop,
      topLogprobs: flags.logprobs ?? 0,
      signal: io.signal,
      ...(flags.maxTokens !== undefined && { maxTokens: flags.maxTokens }),
    });
    result = await collectPieces(generation, ids.length, show);
  } finally {
    promptRead();
  }

  const tokenText = (id: number): string => model.tokenizer.piece(id);
  if (flags.json === true) writeJson(io.stdout, resultJson(result, flags.logprobs, tokenText));
  else if (io.stdout.isTerminal) io.stdout.write('\n');
  if (flags.json !== true && flags.logprobs !== undefined) io.stderr.write(logprobTable(result, tokenText));
  const { createNodeHost } = await import('../platform/node.ts');
  const peak = createNodeHost().peakMemoryBytes();
  const drawnSeed = flags.temperature === 0 ? null : seed;
  io.stderr.write(`${style.dim(figuresLine(model.info, result.timings, peak, drawnSeed))}\n`);
  if (result.finishReason === 'interrupted') throw INTERRUPTED;
}

/** `glassformer --model m.gguf inspect` means the command, and would continue the text "inspect" instead. */
function refuseLateCommand(words: readonly string[]): void {
  const name = COMMANDS.find((entry) => entry.name === words[0])?.name;
  if (name !== undefined && words.length === 1) {
    throw usageError(`${name} is a command, and a command comes first (as a prompt: generate ${name})`);
  }
}

function resultJson({ text, pieces, finishReason, timings }: Generated, nTop: number | undefined, textOf: TokenText) {
  const logprobs = pieces.map(({ id, logprob, top }) => ({
    id,
    token: textOf(id),
    logprob,
    top: top.map((t) => ({ id: t.id, token: textOf(t.id), logprob: t.logprob })),
  }));
  const ids = pieces.map((piece) => piece.id);
  return { text, ids, finishReason, timings, ...(nTop !== undefined && { logprobs }) };
}

type TokenText = (id: number) => string;

/** A line for each step: the chosen token, then the likeliest ones. Natural logarithms. */
function logprobTable({ pieces }: Generated, textOf: TokenText): string {
  const cell = (id: number, logprob: number): string =>
    `${printable(JSON.stringify(textOf(id)))} ${logprob.toFixed(4)}`;
  return table(
    pieces.map(({ id, logprob, top }) => [cell(id, logprob), '|', ...top.map((t) => cell(t.id, t.logprob))]),
  );
}
