import { type Command, Option } from 'commander';
import type { Vector } from '../engine/embedder.ts';
import { POOLINGS, type Pooling } from '../models/encoder.ts';
import {
  addEncoderOptions,
  type EncoderFlags,
  loadEncoderForCommand,
  textProgress,
  textsOf,
} from './encoder_options.ts';
import { printable, table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';

interface Flags extends EncoderFlags {
  readonly pooling?: Pooling;
  readonly normalize: boolean;
}

/** Numbers of a vector that people read; --json has all. */
const SHOWN_NUMBERS = 4;
const SHOWN_DIGITS = 4;
/** A table of more texts than these is wider than a terminal. */
const MOST_IN_TABLE = 10;
const SHOWN_TEXT = 60;

const EXAMPLES = `
Texts share runs without padding: each gets the numbers that it gets alone. A text that is longer than the model takes is
refused, not cut. Some models want a prefix ("query: "): write it yourself.

Examples:
  glassformer embed --model encoder.gguf "A cat sat on the mat" "Rain tomorrow"
  glassformer embed --model encoder.gguf --file texts.txt --json
  glassformer embed --model encoder.gguf --pooling cls --no-normalize --file texts.jsonl
`;

export function defineEmbed(command: Command, io: Io): void {
  command
    .argument('[text...]', 'texts, each in quotes')
    .option('-f, --file <path>', 'one text a line, "-" for standard input; {"text": "..."} a line from a .jsonl file')
    .addOption(
      new Option('--pooling <how>', "how rows become one vector (default: what the model's files say)").choices(
        POOLINGS,
      ),
    )
    .option('--no-normalize', 'vectors of their own length instead of 1');
  addEncoderOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((words: string[], flags: Flags) => embed(io, words, flags));
}

async function embed(io: Io, words: readonly string[], flags: Flags): Promise<void> {
  const texts = await textsOf(io, words, flags.file, 'text');
  const { loadEmbedder } = await import('../index.node.ts');
  await using model = await loadEncoderForCommand(io, flags, loadEmbedder);
  const { pooling, normalize } = flags;
  const { onProgress, done } = textProgress(io, 'embedding');
  const options = { pooling, normalize, signal: io.signal, onProgress };
  const vectors = await model.embed(texts, options).finally(done);
  if (flags.json === true) {
    writeJson(
      io.stdout,
      texts.map((text, i) => ({ text, vector: vectors[i] })),
    );
    return;
  }
  for (const [i, text] of texts.entries()) io.stdout.write(`${vectorText(vectors[i]!)}  ${shortText(text)}\n`);
  if (texts.length >= 2 && texts.length <= MOST_IN_TABLE) io.stdout.write(`\ncosine\n${await cosineTable(vectors)}`);
}

/** [0.1234, -0.0213, 0.0071, 0.1000, ...] (384) */
function vectorText(vector: Vector): string {
  const numbers = Array.from(vector.subarray(0, SHOWN_NUMBERS), (v) => v.toFixed(SHOWN_DIGITS));
  return `[${numbers.join(', ')}${vector.length > SHOWN_NUMBERS ? ', ...' : ''}] (${vector.length})`;
}

/** The start of a text, on one line. */
export function shortText(text: string): string {
  const line = printable(text);
  return line.length > SHOWN_TEXT ? `${line.slice(0, SHOWN_TEXT)}...` : line;
}

async function cosineTable(vectors: readonly Vector[]): Promise<string> {
  const { cosine } = await import('../engine/pooling.ts');
  const numbers = vectors.map((_, i) => String(i + 1));
  const rows = vectors.map((a, i) => [numbers[i]!, ...vectors.map((b) => cosine(a, b).toFixed(SHOWN_DIGITS))]);
  return table([['', ...numbers], ...rows], [0, ...vectors.map((_, i) => i + 1)]);
}
