import type { Command } from 'commander';
import { parseIds } from './arguments.ts';
import { plural, printable, printableText, table } from './format.ts';
import type { Io } from './io.ts';
import { writeJson } from './json.ts';
import { downloaded } from './load.ts';
import { addCommonOptions, type CommonFlags } from './model_options.ts';
import { readText } from './prompt.ts';
import { usageError } from './usage.ts';

interface Flags extends CommonFlags {
  readonly file?: string;
  readonly decode?: readonly number[];
  /** commander's name for --no-special. */
  readonly special: boolean;
}

const EXAMPLES = `
Examples:
  glassformer tokenize "Once there was a fox"
  glassformer tokenize --no-special --file prompt.txt --json
  glassformer tokenize --decode 0,305,318
`;

export function defineTokenize(command: Command, io: Io): void {
  command
    .argument('[text...]', 'the text to split')
    .option('-f, --file <path>', 'the text from a file, "-" for standard input')
    .option('--no-special', "without the model's start and end tokens")
    .option('--decode <list>', 'token ids to text, 1,2,3', parseIds);
  addCommonOptions(command)
    .addHelpText('after', EXAMPLES)
    .action((words: string[], flags: Flags) => tokenize(io, words, flags));
}

async function tokenize(
  io: Io,
  words: readonly string[],
  { file, decode, special, model, json }: Flags,
): Promise<void> {
  const nGiven = Number(words.length > 0) + Number(file !== undefined) + Number(decode !== undefined);
  if (nGiven !== 1) throw usageError('give one of: a text, --file, --decode');
  const { openTokenizer } = await import('./open_tokenizer.ts');
  const tokenizer = await openTokenizer(await downloaded(io, model));

  if (decode !== undefined) {
    const text = tokenizer.decode(decode);
    if (json === true) writeJson(io.stdout, { ids: decode, tokens: decode.map((id) => tokenizer.piece(id)), text });
    else io.stdout.write(io.stdout.isTerminal ? `${printableText(text)}\n` : text);
    return;
  }
  const text = file === undefined ? words.join(' ') : await readText(io, file);
  const ids = tokenizer.encode(text, { addSpecial: special });
  const tokens = ids.map((id) => tokenizer.piece(id));
  if (json === true) {
    writeJson(io.stdout, { ids, tokens });
    return;
  }
  // Quoted, so that the spaces of a piece can be seen.
  const rows = ids.map((id, i) => [String(id), printable(JSON.stringify(tokens[i]))]);
  io.stdout.write(table(rows, [0]));
  io.stderr.write(`${plural(ids.length, 'token')}\n`);
}
