import type { Command } from 'commander';
import { parsePositive } from './arguments.ts';
import { shortText } from './embed.ts';
import {
  addEncoderOptions,
  type EncoderFlags,
  loadEncoderForCommand,
  textProgress,
  textsOf,
} from './encoder_options.ts';
import { table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';

interface Flags extends EncoderFlags {
  readonly top?: number;
}

const SHOWN_DIGITS = 4;

const EXAMPLES = `
The model reads the query with each document and gives one score, the number of its head as it is: higher is nearer, and only
the order of one query's documents means something. --json gives [{index, score, text}], index counted from 0.

Examples:
  glassformer rerank --model reranker.gguf "Where do cats sleep?" "On the mat." "Rain tomorrow."
  glassformer rerank --model reranker.gguf --file texts.txt --top 3 --json "Where do cats sleep?"
`;

export function defineRerank(command: Command, io: Io): void {
  command
    .argument('<query>', 'what is looked for, in quotes')
    .argument('[document...]', 'documents, each in quotes')
    .option(
      '-f, --file <path>',
      'one document a line, "-" for standard input; {"text": "..."} a line from a .jsonl file',
    )
    .option('--top <n>', 'how many of the best to list (default: all)', parsePositive);
  addEncoderOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((query: string, words: string[], flags: Flags) => rerank(io, query, words, flags));
}

async function rerank(io: Io, query: string, words: readonly string[], flags: Flags): Promise<void> {
  const documents = await textsOf(io, words, flags.file, 'document');
  const { loadReranker } = await import('../index.node.ts');
  await using model = await loadEncoderForCommand(io, flags, loadReranker);
  const { onProgress, done } = textProgress(io, 'scoring');
  const all = await model.rank(query, documents, { signal: io.signal, onProgress }).finally(done);
  const ranked = all.slice(0, flags.top);
  if (flags.json === true) {
    writeJson(
      io.stdout,
      ranked.map(({ index, score }) => ({ index, score, text: documents[index] })),
    );
    return;
  }
  const rows = ranked.map(({ index, score }) => [
    score.toFixed(SHOWN_DIGITS),
    String(index + 1),
    shortText(documents[index]!),
  ]);
  io.stdout.write(table(rows, [0, 1]));
}
