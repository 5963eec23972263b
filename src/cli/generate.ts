import type { Command } from 'commander';
import type { Model } from '../engine/model.ts';
import type { SpeculateOptions } from '../engine/proposals.ts';
import { sampleSeed } from '../engine/sample_seed.ts';
import { checkSamples } from '../engine/schedule.ts';
import { CONTIGUOUS, canTakeBack } from '../kvcache/options.ts';
import { parseCount, parseIds, parsePositive } from './arguments.ts';
import { addBeamOptions, type BeamFlags, beamsOf } from './beam_options.ts';
import { collectPieces, type Generated, type PromptClock, watched } from './collect_pieces.ts';
import { isCommand } from './command_names.ts';
import { figuresLine } from './figures.ts';
import { addFormOptions, type FormFlags, readForm, refuseIncomplete } from './form_options.ts';
import { plural, printable, printableText, table } from './format.ts';
import { loadAnswering } from './generate_answer.ts';
import { type NamedRequest, runMany } from './generate_many.ts';
import { INTERRUPTED, type Io } from './io.ts';
import { writeJson } from './json.ts';
import { addKvOptions, type KvFlags } from './kv_options.ts';
import { downloaded, loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { noteIfSlow } from './progress.ts';
import { type PromptInput, promptIds, readPrompt, readText } from './prompt.ts';
import { parseRequestLines } from './request_lines.ts';
import { addSamplingOptions, type SamplingFlags, samplingOf } from './sampling_options.ts';
import { styleOf } from './style.ts';
import { checkUsage, usageError } from './usage.ts';

interface Flags extends RunFlags, SamplingFlags, KvFlags, FormFlags, BeamFlags {
  readonly ids?: readonly number[];
  readonly file?: string;
  readonly raw?: boolean;
  readonly logprobs?: number;
  readonly n: number;
  readonly batch?: number;
  readonly lookup?: number;
  readonly draft?: string;
  readonly draftTokens?: number;
}

const EXAMPLES = `
Examples:
  glassformer generate "Once there was a fox"
  glassformer generate --temperature 0 --max-tokens 50 "One day"
  glassformer generate --seed 7 --top-p 0.9 --stop "The end" "Tom and his dog"
  glassformer generate --file prompt.txt --json
  glassformer generate --file prompts.jsonl --json
  glassformer generate --n 4 "Once there was a fox"
  glassformer generate --lookup 4 "One, two, three. One, two,"
  glassformer generate --schema answer.json "The fox, as JSON:"
  glassformer generate --model model.gguf --ids 0,305,318 --logprobs 3
`;

/** A model that never ends by itself would otherwise go on until its context is full. */
const DEFAULT_MAX_TOKENS = 200;
/** The embedded model's stories end by themselves, nearly all before this. */
const EMBEDDED_MAX_TOKENS = 400;

function defaultMaxTokens(model: string): number {
  return model === 'embedded' ? EMBEDDED_MAX_TOKENS : DEFAULT_MAX_TOKENS;
}

/** isImplied: the word "generate" was not written, the words are the prompt. */
export function defineGenerate(command: Command, io: Io, isImplied: boolean): void {
  command.argument('[prompt...]', 'the text to continue; without one, the model begins by itself');
  command
    .option('--ids <list>', 'the prompt as exact token ids, 1,2,3', parseIds)
    .option('-f, --file <path>', 'the prompt from a file, "-" for standard input; many prompts from a .jsonl file')
    .option('--n <count>', 'samples of the prompt, with the seeds seed, seed + 1, ...', parsePositive, 1)
    .option('--batch <n>', 'most sequences that run together (default: 8)', parsePositive)
    .option('--lookup <n>', 'guess up to n tokens from the text so far, and check them in one run', parsePositive)
    .option('--draft <model>', 'guess tokens with a smaller model of the same vocabulary')
    .option('--draft-tokens <n>', 'most tokens of one guess of --draft (default: 4)', parsePositive)
    .option('--raw', 'the exact text, without the start token')
    .option('--logprobs <n>', 'list the n likeliest tokens of each step', parseCount);
  addSamplingOptions(command, `${DEFAULT_MAX_TOKENS}; ${EMBEDDED_MAX_TOKENS} with the embedded model`);
  addFormOptions(addBeamOptions(command));
  addKvOptions(addExecutorOption(addRunOptions(command)));
  command.addHelpText('after', EXAMPLES).action(async (words: string[], flags: Flags) => {
    if (isImplied) refuseLateCommand(words);
    checkGuesses(flags);
    const beams = beamsOf(command, flags);
    if (beams.beams !== undefined && isManyPrompts(flags)) {
      throw usageError('--beams is about one prompt; leave out the .jsonl file');
    }
    if (isManyPrompts(flags) || flags.n > 1) await generateMany(io, words, flags);
    else await generate(io, words, flags, beams);
  });
}

async function generate(io: Io, words: readonly string[], flags: Flags, beams: BeamFlags): Promise<void> {
  const sampling = samplingOf(flags);
  const options = await loadOptionsOf(flags);
  if ((flags.lookup ?? flags.draft) !== undefined && !canTakeBack(options.kv ?? CONTIGUOUS)) {
    const [flag, does] = flags.kvEvict === undefined ? ['--kv-recent', 'rounds'] : ['--kv-evict', 'gives up'];
    throw usageError(
      `--lookup and --draft take wrong guesses back, and what ${flag} ${does} after one does not come back; leave ${flag} out, or the guesses`,
    );
  }
  const form = await readForm(flags);
  const input = await readPrompt(io, { words, ...flags });
  const maxTokens = flags.maxTokens ?? defaultMaxTokens(flags.model);
  const common = {
    ...(beams.beams === undefined ? sampling : beams),
    ...form,
    stop: flags.stop ?? [],
    ...(flags.logprobs !== undefined && { topLogprobs: flags.logprobs }),
    signal: io.signal,
    maxTokens,
  };
  const seed = flags.temperature === 0 || beams.beams !== undefined ? null : sampling.seed; // nothing was drawn at temperature 0
  const path = await downloaded(io, flags.model);
  await using answering = await loadAnswering(io, path, options, { ...flags, ...beams });
  if (answering !== null) {
    const ids = answering.sourceIds(input);
    await show(io, answering, await follow(io, answering.generate(ids, common), ids.length, null, flags), flags, seed);
    return;
  }
  await using model = await loadForCommand(io, path, options);
  await using draft =
    flags.draft === undefined
      ? undefined
      : await loadForCommand(io, flags.draft, await loadOptionsOf(draftFlags(flags)));
  const ids = promptIds(model, input);
  // A signal that came while a long prompt was cut into tokens is seen here.
  await new Promise((resolve) => setImmediate(resolve));
  io.signal.throwIfAborted();
  using session = model.createSession();

  const clock: PromptClock = { promptDone: undefined };
  const from = beams.beams === undefined ? session : watched(session, clock);
  const generation = model.generateIn(from, ids, { ...common, speculate: speculateOf(flags, draft) });
  await show(io, model, await follow(io, generation, ids.length, input, flags, clock), flags, seed);
}

/** What is said after a generation: JSON or a table where it was asked for, and the line of figures. */
async function show(
  io: Io,
  model: Pick<Model, 'tokenizer' | 'info'>,
  result: Generated,
  flags: Flags,
  seed: number | bigint | null,
): Promise<void> {
  const tokenText = (id: number): string => model.tokenizer.piece(id);
  if (flags.json === true) writeJson(io.stdout, resultJson(result, flags.logprobs, tokenText));
  else if (flags.logprobs !== undefined) io.stderr.write(logprobTable(result, tokenText));
  const { createNodeHost } = await import('../platform/node.ts');
  const figures = figuresLine(model.info, result.timings, createNodeHost().peakMemoryBytes(), seed, result.speculation);
  io.stderr.write(`${styleOf(io.stderr, io.env).dim(figures)}\n`);
  if (result.finishReason === 'interrupted') throw INTERRUPTED;
  refuseIncomplete(result, flags.maxTokens ?? defaultMaxTokens(flags.model), model.info.maxSeq);
}

/** Throws a usage error for guesses that exclude each other, or where several sequences run. */
function checkGuesses(flags: Flags): void {
  const { lookup, draft, draftTokens, n } = flags;
  if (lookup !== undefined && draft !== undefined) throw usageError('--lookup and --draft both guess; leave one out');
  if (draftTokens !== undefined && draft === undefined) throw usageError('--draft-tokens needs --draft');
  if ((lookup !== undefined || draft !== undefined) && (isManyPrompts(flags) || n > 1)) {
    throw usageError('--lookup and --draft are about one sequence; leave out --n and the .jsonl file');
  }
}

/** The draft runs as the model does, in its own context; a graph and a choice of passes are the model's alone. */
function draftFlags(flags: Flags): Flags {
  const { maxSeq: _, disablePass: _d, onlyPasses: _o, loadGraph: _l, lora: _a, loraMerge: _m, ...shared } = flags;
  return shared;
}

function speculateOf({ lookup, draftTokens }: Flags, draft: Model | undefined): SpeculateOptions | undefined {
  if (lookup !== undefined) return { kind: 'lookup', most: lookup };
  return draft && { kind: 'draft', model: draft, most: draftTokens };
}

function isManyPrompts({ file }: Flags): boolean {
  return file?.toLowerCase().endsWith('.jsonl') === true;
}

/** Several sequences: the lines of a file, each with options of its own over the flags, or samples of one prompt. */
async function generateMany(io: Io, words: readonly string[], flags: Flags): Promise<void> {
  if (flags.logprobs !== undefined)
    throw usageError('--logprobs is about one sequence; leave out --n and the .jsonl file');
  checkUsage(() => checkSamples(flags.n));
  const sampling = samplingOf(flags);
  const options = await loadOptionsOf(flags);
  const form = await readForm(flags);
  const common = {
    ...sampling,
    ...form,
    stop: flags.stop ?? [],
    maxTokens: flags.maxTokens ?? defaultMaxTokens(flags.model),
  };
  if (isManyPrompts(flags)) {
    if (words.length > 0 || flags.ids !== undefined || flags.raw === true) {
      throw usageError('a .jsonl file has the prompts; leave out words, --ids and --raw');
    }
    const lines = parseRequestLines(await readText(io, flags.file!), flags.file!);
    if (lines.length === 0) io.stderr.write(`${printable(flags.file!)}: has no line with a prompt\n`);
    await using model = await loadForCommand(io, flags.model, options);
    // A line without a seed has one of its own, so that equal prompts give different texts.
    const named = lines.map(({ line, prompt, options: own }, index): NamedRequest => {
      const seed = own.seed ?? sampleSeed(sampling.seed, index);
      return { name: `line ${line}`, request: { n: flags.n, ...common, ...own, seed, prompt } };
    });
    await runMany(io, model, named, { isJson: flags.json === true, maxBatch: flags.batch });
    return;
  }
  const input = await readPrompt(io, { words, ...flags });
  await using model = await loadForCommand(io, flags.model, options);
  const request = { ...common, n: flags.n, prompt: { ids: promptIds(model, input) } };
  await runMany(io, model, [{ name: '', request }], { isJson: flags.json === true, maxBatch: flags.batch });
}

/**
 * Shows a generation as it comes. On a terminal the prompt goes before it, dimmed and on stderr, so that the text reads on, and
 * a new line after it; anywhere else stdout gets the text alone.
 */
async function follow(
  io: Io,
  generation: ReturnType<Model['generateIn']>,
  promptTokens: number,
  /** What the text goes on from; null where it begins anew. */
  prompt: PromptInput | null,
  { json: isJson = false, beams }: Flags,
  clock?: PromptClock,
): Promise<Generated> {
  const { isTerminal } = io.stdout;
  const search = beams === undefined ? '' : `, and searching with ${plural(beams, 'beam')}`;
  const promptRead = noteIfSlow(io, `reading the prompt, ${plural(promptTokens, 'token')}${search}`);
  let echo = isTerminal && io.stderr.isTerminal && prompt !== null && 'text' in prompt ? prompt.text : '';
  const show = (text: string): void => {
    promptRead();
    if (isJson) return;
    if (echo !== '') io.stderr.write(styleOf(io.stderr, io.env).dim(printableText(echo)));
    echo = '';
    io.stdout.write(isTerminal ? printableText(text) : text);
  };
  try {
    return await collectPieces(generation, promptTokens, show, undefined, clock);
  } finally {
    promptRead();
    if (isTerminal && !isJson) io.stdout.write('\n');
  }
}

/** `glassformer --model m.gguf inspect` means the command, and would continue the text "inspect" instead. */
function refuseLateCommand(words: readonly string[]): void {
  const [first = ''] = words;
  if (words.length === 1 && isCommand(first)) {
    throw usageError(`${first} is a command, and a command comes first (as a prompt: generate ${first})`);
  }
}

function resultJson(
  { text, pieces, finishReason, isComplete, timings, speculation, beams }: Generated,
  nTop: number | undefined,
  textOf: TokenText,
) {
  const logprobs = pieces.map(({ id, logprob, top }) => ({
    id,
    token: textOf(id),
    logprob,
    top: top.map((t) => ({ id: t.id, token: textOf(t.id), logprob: t.logprob })),
  }));
  const ids = pieces.map((piece) => piece.id);
  const completeness = isComplete !== undefined && { isComplete };
  const guesses = speculation !== undefined && { speculation };
  const nBest = beams !== undefined && { beams };
  return {
    text,
    ids,
    finishReason,
    ...completeness,
    timings,
    ...guesses,
    ...nBest,
    ...(nTop !== undefined && { logprobs }),
  };
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
