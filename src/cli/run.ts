import { Command, CommanderError } from 'commander';
import { isGlassformerError } from '../core/errors.ts';
import { COMMANDS } from './command_list.ts';
import { COMMAND_NAMES, isCommand, nearCommand } from './command_names.ts';
import { printable } from './format.ts';
import { INTERRUPTED, type Io, OUTPUT_CLOSED } from './io.ts';
import { styleOf } from './style.ts';
import { EXIT_FAILED, EXIT_INTERRUPTED, EXIT_OK, EXIT_USAGE, REPORTED_FAILURE, usageError } from './usage.ts';

/** What `--help` and the package say the program is. */
const DESCRIPTION = 'A transformer you can see through: runs, explains and checks language models.';

const HELP_EXAMPLES = `
Without a command, the words are the prompt; without words, the model begins by itself.

Examples:
  glassformer                                        tell a story with the embedded model
  glassformer "Once there was a fox"                 continue a text
  glassformer generate --model model.gguf "Hello"    run a model of your own
  glassformer inspect --model model.gguf             see what is in it
  glassformer help generate                          all flags of a command

Exit codes: 0 done, 1 failed, 2 wrong usage, 130 stopped by Ctrl-C.
`;

/**
 * The whole program: runs `argv` (without the names of node and script) and gives the exit code. Never throws; what failed is
 * one line on stderr.
 */
export async function run(argv: readonly string[], io: Io): Promise<number> {
  try {
    const words = routed(argv);
    const program = await createProgram(words, io, words.length > argv.length);
    await program.parseAsync(words, { from: 'user' });
    await io.flush();
    // A Ctrl-C that came when all was done changes nothing; an output that failed does, however late it is known.
    if (io.signal.aborted && io.signal.reason !== INTERRUPTED) throw io.signal.reason;
    return EXIT_OK;
  } catch (error) {
    return report(error, argv, io);
  }
}

/** argv with its command in front: `generate` where the first word is none. Throws a usage error for a likely slip. */
function routed(argv: readonly string[]): string[] {
  const [first] = argv;
  if (first === undefined) return ['generate'];
  if (first === 'help' && argv[1] !== undefined && !isCommand(argv[1])) {
    throw usageError(`there is no command "${argv[1]}"; the commands are ${COMMAND_NAMES.join(', ')}`);
  }
  if (isCommand(first) || ['help', '-h', '--help', '-V', '--version'].includes(first)) return [...argv];
  const near = nearCommand(first);
  if (near !== undefined) {
    throw usageError(`there is no command "${first}", did you mean ${near}? (as a prompt: generate ${first})`);
  }
  return ['generate', ...argv];
}

async function createProgram(words: readonly string[], io: Io, isImplied: boolean): Promise<Command> {
  const program = new Command('glassformer')
    .description(DESCRIPTION)
    .usage('[command] [prompt...] [options]')
    .version(await versionIfAsked(words[0]), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'print help')
    .helpCommand('help [command]', 'print the help of a command')
    .addHelpText('after', HELP_EXAMPLES)
    .exitOverride()
    .configureOutput({
      writeOut: (text) => io.stdout.write(text),
      // Errors are printed in one place, `report`.
      writeErr: () => {},
      getOutHelpWidth: () => io.stdout.columns,
      getOutHasColors: () => false,
    });
  for (const name of COMMAND_NAMES) {
    const { summary, load } = COMMANDS[name];
    const command = program
      .command(name)
      .summary(summary)
      .description(`${capitalized(summary)}.`);
    command.helpOption('-h, --help', 'print help').allowExcessArguments(false);
    if (words[0] === name || (words[0] === 'help' && words[1] === name)) (await load())(command, io, isImplied);
  }
  return program;
}

/** The version is in package.json, which lies two folders up from src/cli and from dist/cli. It is read when asked for. */
async function versionIfAsked(word: string | undefined): Promise<string> {
  if (word !== '-V' && word !== '--version') return '';
  const { readFile } = await import('node:fs/promises');
  const text = await readFile(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Says why the run ended, on stderr, and gives the exit code. */
function report(error: unknown, argv: readonly string[], io: Io): number {
  if (error === OUTPUT_CLOSED) return EXIT_OK;
  if (error === REPORTED_FAILURE) return EXIT_FAILED;
  if (error === INTERRUPTED) return EXIT_INTERRUPTED;
  // Help and version are "errors" of commander's, with exit code 0.
  if (error instanceof CommanderError && error.exitCode === 0) return EXIT_OK;
  const message = error instanceof Error ? error.message : String(error);
  const style = styleOf(io.stderr, io.env);
  const isUsage = error instanceof CommanderError;
  const text = isUsage ? message.replace(/^error: /, '').replaceAll('\n', ' ') : message;
  io.stderr.write(`${style.red('error:')} ${printable(text)}${isKnown(error) ? '' : BUG_NOTE}\n`);
  if (isUsage) io.stderr.write(style.dim(`${helpHint(argv)}\n`));
  const wantsStack = argv.includes('--debug') || (io.env['GLASSFORMER_DEBUG'] ?? '0') !== '0';
  if (wantsStack && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return isUsage ? EXIT_USAGE : EXIT_FAILED;
}

const BUG_NOTE = ' (unexpected: GLASSFORMER_DEBUG=1 shows where)';

/** The six errors, wrong usage, and what the system says about files and memory need no stack. */
function isKnown(error: unknown): boolean {
  const isOutOfMemory =
    error instanceof RangeError && /allocation failed|Invalid (typed )?array length/.test(error.message);
  const isFromSystem = error instanceof Error && 'code' in error;
  return isGlassformerError(error) || error instanceof CommanderError || isFromSystem || isOutOfMemory;
}

function helpHint([first = '']: readonly string[]): string {
  if (first === 'help' || nearCommand(first) !== undefined) return 'see: glassformer --help';
  return `see: glassformer ${isCommand(first) ? first : 'generate'} --help`;
}

function capitalized(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}
