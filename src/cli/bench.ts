import { cpus } from 'node:os';
import type { Command } from 'commander';
import { rowBytes } from '../core/dtype.ts';
import { CapacityError } from '../core/errors.ts';
import type { Model } from '../engine/model.ts';
import { chosenBytes } from '../exec/traffic.ts';
import type { Graph, NodeOf } from '../graph/ir.ts';
import { parsePositive } from './arguments.ts';
import { plural, showBytes, showMs, showRate, table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';

interface Flags extends RunFlags {
  readonly promptTokens?: number;
  readonly genTokens?: number;
  readonly repeat: number;
}

const DEFAULT_PROMPT_TOKENS = 512;
const DEFAULT_GEN_TOKENS = 128;
const DEFAULT_REPEAT = 3;
/** Enough for the host to have compiled what it will run; both are measured again afterwards. */
const WARM_UP = { promptTokens: 16, genTokens: 4 };

const EXAMPLES = `
Prefill runs the prompt's tokens at once, decode one after another. Each figure is the median of the repeated runs, after
one short run that is not counted. Where the context is too short for the default counts, the prompt is shortened.

Examples:
  glassformer bench
  glassformer bench --model model.gguf --prompt-tokens 64 --gen-tokens 16 --repeat 5 --json
`;

export function defineBench(command: Command, io: Io): void {
  command
    .option('--prompt-tokens <n>', `tokens of the prompt (default: ${DEFAULT_PROMPT_TOKENS})`, parsePositive)
    .option('--gen-tokens <n>', `tokens after it (default: ${DEFAULT_GEN_TOKENS})`, parsePositive)
    .option('--repeat <n>', 'runs to take the median of', parsePositive, DEFAULT_REPEAT);
  addExecutorOption(addRunOptions(command));
  command.addHelpText('after', EXAMPLES).action((flags: Flags) => bench(io, flags));
}

async function bench(io: Io, flags: Flags): Promise<void> {
  const options = await loadOptionsOf(flags);
  await using model = await loadForCommand(io, flags.model, options);
  const { promptTokens, genTokens } = fittingCounts(flags, model.info.maxSeq);
  await timeOnce(
    model,
    Math.min(WARM_UP.promptTokens, promptTokens),
    Math.min(WARM_UP.genTokens, genTokens),
    io.signal,
  );
  const runs: RunTimes[] = [];
  for (let i = 0; i < flags.repeat; i++) runs.push(await timeOnce(model, promptTokens, genTokens, io.signal));

  const prefillMs = median(runs.map((run) => run.prefillMs));
  const decodeMs = median(runs.map((run) => run.decodeMs));
  const { createNodeHost } = await import('../platform/node.ts');
  const host = createNodeHost();
  const weightBytes = bytesPerToken(model.executor.graph);
  const result = {
    prefill: { tokens: promptTokens, ms: prefillMs, tokensPerSecond: perSecond(promptTokens, prefillMs) },
    decode: {
      tokens: genTokens,
      ms: decodeMs,
      tokensPerSecond: perSecond(genTokens, decodeMs),
      bytesPerSecond: perSecond(genTokens * weightBytes, decodeMs),
    },
    loadMs: model.info.loadMs,
    peakRssBytes: host.peakMemoryBytes(),
    kernels: model.info.kernels,
    threads: model.info.threads,
    host: `${host.description}, ${cpus()[0]?.model ?? 'unknown processor'}`,
  };
  if (flags.json === true) {
    writeJson(io.stdout, result);
    return;
  }
  const { prefill, decode } = result;
  const speed = `${showRate(decode.tokens, decode.ms)}, ${showBytes(Math.round(decode.bytesPerSecond))}/s of weights`;
  io.stdout.write(
    table([
      ['model', `${model.info.name}, loaded in ${showMs(result.loadMs)}`],
      ['host', result.host],
      ['kernels', `${result.kernels}, ${plural(result.threads, 'thread')}`],
      [
        'prefill',
        `${plural(prefill.tokens, 'token')} in ${showMs(prefill.ms)}: ${showRate(prefill.tokens, prefill.ms)}`,
      ],
      ['decode', `${plural(decode.tokens, 'token')} in ${showMs(decode.ms)}: ${speed}`],
      ['peak memory', result.peakRssBytes === null ? 'unknown' : showBytes(result.peakRssBytes)],
    ]),
  );
}

/**
 * The asked counts; where one was not asked for, its default, or what the context leaves for it.
 * Throws CapacityError when they do not fit.
 */
export function fittingCounts(
  asked: { readonly promptTokens?: number; readonly genTokens?: number },
  maxSeq: number,
): { promptTokens: number; genTokens: number } {
  const room = (taken: number): number => Math.max(1, maxSeq - taken);
  const half = Math.max(1, Math.floor(maxSeq / 2));
  const genTokens =
    asked.genTokens ?? Math.min(DEFAULT_GEN_TOKENS, asked.promptTokens === undefined ? half : room(asked.promptTokens));
  const promptTokens = asked.promptTokens ?? Math.min(DEFAULT_PROMPT_TOKENS, room(genTokens));
  if (promptTokens + genTokens > maxSeq) {
    throw new CapacityError(
      `bench: ${promptTokens} prompt tokens and ${genTokens} after them do not fit maxSeq=${maxSeq}; ask for fewer, or raise --max-seq`,
    );
  }
  return { promptTokens, genTokens };
}

interface RunTimes {
  readonly prefillMs: number;
  readonly decodeMs: number;
}

/** Runs a prompt and then single tokens; which tokens they are makes no difference to the time. */
async function timeOnce(model: Model, promptTokens: number, genTokens: number, signal: AbortSignal): Promise<RunTimes> {
  using session = model.createSession();
  const idAt = (t: number): number => (t * ID_STEP) % model.info.vocab;
  const prompt = Array.from({ length: promptTokens }, (_, t) => idAt(t));
  const start = performance.now();
  await session.append(prompt, { signal });
  const prefilled = performance.now();
  for (let t = 0; t < genTokens; t++) {
    signal.throwIfAborted();
    await session.append([idAt(promptTokens + t)], { signal });
    if (t % PAUSE_EVERY === 0) await new Promise((resolve) => setImmediate(resolve)); // Ctrl-C is noticed here
  }
  return { prefillMs: prefilled - start, decodeMs: performance.now() - prefilled };
}

/** A prime: neighbouring positions get tokens from all over the vocabulary. */
const ID_STEP = 7919;
const PAUSE_EVERY = 8;

/** Bytes of all matrices that one token is multiplied with: what a decode step must read at least, caches aside. */
export function bytesPerToken(graph: Graph): number {
  let nBytes = 0;
  for (const node of graph.nodes) {
    if (node.op === 'expert_linear') nBytes += chosenBytes(graph, node);
    if (node.op !== 'linear' && node.op !== 'head_linear') continue;
    const { dtype, shape } = graph.nodes[node.inputs[1]!] as NodeOf<'weight' | 'concat_weights'>;
    const sizes = shape as readonly number[];
    nBytes += sizes.slice(0, -1).reduce((n, size) => n * size, 1) * rowBytes(dtype, sizes.at(-1)!);
  }
  return nBytes;
}

/** The middle value, of an even number the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
}

function perSecond(n: number, ms: number): number {
  return (1000 * n) / ms;
}
