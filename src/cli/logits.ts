import type { Command } from 'commander';
import { CapacityError } from '../core/errors.ts';
import type { Model } from '../engine/model.ts';
import type { Logits } from '../exec/executor.ts';
import { parseCount, parseIds } from './arguments.ts';
import { printable, showBytes, table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { addKvOptions, type KvFlags } from './kv_options.ts';
import { loadForCommand } from './load.ts';
import { addExecutorOption, addRunOptions, loadOptionsOf, type RunFlags } from './model_options.ts';
import { writeOutputFile } from './output_file.ts';
import { noteIfSlow } from './progress.ts';
import { promptIds, readPrompt } from './prompt.ts';

interface Flags extends RunFlags, KvFlags {
  readonly ids?: readonly number[];
  readonly file?: string;
  readonly raw?: boolean;
  readonly top: number;
  readonly out?: string;
}

/** One of the likeliest tokens after a position. */
interface TopToken {
  readonly id: number;
  readonly token: string;
  readonly logit: number;
  /** Natural logarithm of its probability. */
  readonly logprob: number;
}

const DEFAULT_TOP = 5;
/** Positions whose logits are held at once when they are not kept: 64 x 150,000 f32 are 38 MB. */
const POSITIONS_AT_ONCE = 64;

const EXAMPLES = `
Position t holds the logits of the token after it.

Examples:
  glassformer logits "Once there was a fox"
  glassformer logits --ids 0,305,318 --top 3 --json
  glassformer logits --executor naive64 --ids 0,305 --out logits.safetensors
`;

export function defineLogits(command: Command, io: Io): void {
  command
    .argument('[prompt...]', 'the text; without one, the start token alone')
    .option('--ids <list>', 'exact token ids, 1,2,3', parseIds)
    .option('-f, --file <path>', 'the text from a file, "-" for standard input')
    .option('--raw', 'the exact text, without the start token')
    .option('--top <n>', 'how many of the likeliest tokens to list', parseCount, DEFAULT_TOP)
    .option('-o, --out <path>', 'a safetensors file: tensor "logits" [T, vocab], f32, from naive64 f64');
  addKvOptions(addExecutorOption(addRunOptions(command)));
  command.addHelpText('after', EXAMPLES).action((words: string[], flags: Flags) => logits(io, words, flags));
}

async function logits(io: Io, words: readonly string[], flags: Flags): Promise<void> {
  const options = await loadOptionsOf(flags);
  const input = await readPrompt(io, { words, ...flags });
  await using model = await loadForCommand(io, flags.model, options);
  const ids = promptIds(model, input);
  const positions: (readonly TopToken[])[] = [];
  const listTop = await topLister(model, flags.top);

  const done = noteIfSlow(io, `running ${ids.length} tokens`);
  try {
    if (flags.out === undefined) {
      await forEachPosition(model, ids, io.signal, (row) => positions.push(listTop(row)));
    } else {
      await writeOutputFile(flags.out, async () => {
        const all = allLogits(model, ids.length);
        await forEachPosition(model, ids, io.signal, (row, t) => {
          all.set(row, t * row.length);
          positions.push(listTop(row));
        });
        return packLogits(all, [ids.length, model.info.vocab]);
      });
    }
  } finally {
    done();
  }

  if (flags.json === true) writeJson(io.stdout, { positions: positions.map((top) => ({ top })) });
  else io.stdout.write(topTable(model, ids, positions));
  if (flags.out !== undefined) {
    io.stderr.write(`wrote logits [${ids.length}, ${model.info.vocab}] to ${printable(flags.out)}\n`);
  }
}

type Numbers = Logits['data'];

/** Calls `visit` with the logits [vocab] of each position, a few positions at a time; any grouping gives the same bits. */
async function forEachPosition(
  model: Model,
  ids: readonly number[],
  signal: AbortSignal,
  visit: (row: Numbers, position: number) => void,
): Promise<void> {
  using session = model.createSession();
  for (let from = 0; from < ids.length; from += POSITIONS_AT_ONCE) {
    const part = ids.slice(from, from + POSITIONS_AT_ONCE);
    const { data, vocab } = await session.append(part, { logits: 'all', signal });
    part.forEach((_, i) => {
      visit(data.subarray(i * vocab, (i + 1) * vocab), from + i);
    });
  }
}

/** Room for every logit: f64 from naive64, f32 from the others. */
function allLogits(model: Model, nPositions: number): Numbers {
  const n = nPositions * model.info.vocab;
  try {
    return model.info.tier === 'naive64' ? new Float64Array(n) : new Float32Array(n);
  } catch {
    throw new CapacityError(`logits of ${nPositions} positions need ${showBytes(8 * n)}; ask for fewer positions`);
  }
}

async function packLogits(data: Numbers, shape: readonly number[]): Promise<Uint8Array> {
  const { writeSafetensors } = await import('../load/safetensors_writer.ts');
  return writeSafetensors([
    data instanceof Float64Array
      ? { name: 'logits', shape, dtype: 'F64', data }
      : { name: 'logits', shape, dtype: 'F32', data },
  ]);
}

/** logit - log(sum(exp(logits))) in float64, with the engine's own exp and log: the same on every host. */
async function topLister(model: Model, nTop: number): Promise<(row: Numbers) => TopToken[]> {
  const { logprobsOf } = await import('../sample/logprobs.ts');
  return (row) =>
    logprobsOf(Float64Array.from(row), 0, nTop).top.map(({ id, logprob }) => ({
      id,
      token: model.tokenizer.piece(id),
      logit: row[id]!,
      logprob,
    }));
}

/** A line for each position: its token, then the likeliest tokens after it. */
function topTable(model: Model, ids: readonly number[], positions: readonly (readonly TopToken[])[]): string {
  const quoted = (text: string): string => printable(JSON.stringify(text));
  const header = ['position', 'id', 'token', 'after it (logit)'];
  return table(
    [
      header,
      ...positions.map((top, t) => [
        String(t),
        String(ids[t]),
        quoted(model.tokenizer.piece(ids[t]!)),
        ...top.map(({ token, logit }) => `${quoted(token)} ${logit.toFixed(3)}`),
      ]),
    ],
    [0, 1],
  );
}
