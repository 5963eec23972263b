import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { transform } from 'esbuild';
import * as glassformer from '../../src/index.node.ts';
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

/** Runs an example and gives what it printed. Throws what it throws, and Error where a command fails. */
export function runExample({ language, text }: Example): Promise<string> {
  return language === 'ts' ? runTypeScript(text) : runCommands(text);
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

/** Runs each line through the program itself, as `npm start` does. */
async function runCommands(text: string): Promise<string> {
  let printed = '';
  for (const line of text.trim().split('\n')) {
    const words = shellWords(line);
    if (!NPM_START.every((word, i) => words[i] === word)) throw new Error(`"${line}" does not begin with npm start --`);
    const command = ['--import', 'tsx', 'src/cli/main.ts', ...words.slice(NPM_START.length)];
    const { stdout } = await promisify(execFile)(process.execPath, command, { cwd: ROOT });
    printed += stdout;
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
