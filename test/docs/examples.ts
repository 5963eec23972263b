import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import { expect } from 'vitest';
import * as glassformer from '../../src/index.node.ts';
import { runCli } from '../cli/fake_io.ts';
import { ROOT } from '../support/fixtures.ts';
import { fencesOf } from './markdown.ts';

/**
 * An example that a document promises to work: a fenced block "ts run" or "sh run". When the next block is "text output", it is
 * what the example prints.
 */
export interface Example {
  readonly language: 'ts' | 'sh';
  readonly text: string;
  readonly line: number;
  readonly output: string | undefined;
}

export function examplesOf(markdown: string): Example[] {
  const fences = fencesOf(markdown);
  return fences.flatMap(({ info, text, line }, i) => {
    const language = /^(ts|sh) run$/.exec(info)?.[1] as Example['language'] | undefined;
    if (language === undefined) return [];
    const next = fences[i + 1];
    return [{ language, text, line, output: next?.info === 'text output' ? next.text : undefined }];
  });
}

/** Runs the program with the words behind `npm start --` and gives what it printed. */
export type Program = (words: readonly string[]) => Promise<string>;

/** As `npm start` does, in a process of its own: half a second more than here. */
export const inProcess: Program = async (words) => {
  const command = ['--import', 'tsx', 'src/cli/main.ts', ...words];
  return (await promisify(execFile)(process.execPath, command, { cwd: ROOT })).stdout;
};

/** In this process, which `npm test` starts in the same folder. Throws Error where the exit code is not 0. */
export const inThisProcess: Program = async (words) => {
  const { exitCode, stdout, stderr } = await runCli(words);
  if (exitCode !== 0) throw new Error(`exit code ${exitCode}: ${stderr}`);
  return stdout;
};

/** Runs an example and gives what it printed. Throws what it throws, and Error where a command fails. */
export function runExample({ language, text }: Example, program: Program = inThisProcess): Promise<string> {
  return language === 'ts' ? runTypeScript(text) : runCommands(text, program);
}

/** A terminal ends the last line, a program may not. */
const withoutEnd = (text: string) => text.replace(/\n$/, '');

/** The example runs, and prints what the document says. */
export async function expectOutput(example: Example, program: Program): Promise<void> {
  const printed = await runExample(example, program);
  if (example.output !== undefined) expect(withoutEnd(printed)).toBe(withoutEnd(example.output));
}

type Body = (glassformer: object, process: object, console: object) => Promise<void>;
const AsyncFunction = (async () => {}).constructor as new (...parameters: string[]) => Body;

/** Runs a module in this process. Its only imports are named ones from 'glassformer', which is src/index.node.ts here. */
async function runTypeScript(text: string): Promise<string> {
  const { code } = await transform(text, { loader: 'ts', format: 'esm', target: 'node20' });
  const body = code.replace(
    /^import \{([^}]+)\} from "glassformer";$/gm,
    (_, names: string) => `const {${names.replaceAll(' as ', ': ')}} = glassformer;`,
  );
  const printed: string[] = [];
  const process = { stdout: { write: (part: string) => printed.push(part) } };
  const console = { log: (...parts: unknown[]) => printed.push(`${parts.join(' ')}\n`) };
  await new AsyncFunction('glassformer', 'process', 'console', body)(glassformer, process, console);
  return printed.join('');
}

const NPM_START = ['npm', 'start', '--'];

/** Runs each line through the program itself. */
async function runCommands(text: string, program: Program): Promise<string> {
  let printed = '';
  for (const line of text.trim().split('\n')) {
    const words = shellWords(line);
    if (!NPM_START.every((word, i) => words[i] === word)) throw new Error(`"${line}" does not begin with npm start --`);
    printed += await program(words.slice(NPM_START.length));
  }
  return printed;
}

/** Words of a shell line: plain, or in quotes. Throws Error for anything that only a shell understands. */
export function shellWords(line: string): string[] {
  const words: string[] = [];
  const word = /\s*(?:"([^"\\$`]*)"|'([^']*)'|([\w./=:,@%+-]+))(?=\s|$)/y;
  while (word.lastIndex < line.trimEnd().length) {
    const from = word.lastIndex;
    const found = word.exec(line);
    if (found === null) throw new Error(`"${line.slice(from)}" needs a shell`);
    words.push(found[1] ?? found[2] ?? found[3]!);
  }
  return words;
}
