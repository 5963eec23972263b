import { copyFileSync, cpSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { COMMAND_NAMES } from '../../src/cli/command_names.ts';
import { QUICK_GELU_FOLDER } from '../support/clip_golden.ts';
import { encoderFile } from '../support/encoder_cases.ts';
import { ROOT } from '../support/fixtures.ts';
import { runCli } from './fake_io.ts';
import { CHAT_TEMPLATE, createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

/** Every example that the help, docs/cli.md and docs/chat.md show is run. */

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
  const tiny = await tinyContent();
  await folder.put('model.gguf', writeGguf(tiny));
  await folder.put('chat.gguf', writeGguf(withPair(tiny, 'tokenizer.chat_template', 'string', THINKING_TEMPLATE)));
  await folder.put('prompt.txt', 'Once there was');
  await folder.put('encoder.gguf', encoderFile({ architecture: 'bert', shape: { maxContext: 64 } }));
  await folder.put('reranker.gguf', encoderFile({ architecture: 'bert', shape: { maxContext: 64, tied: false } }));
  await folder.put('texts.txt', 'A cat\nA dog\n');
  await folder.put('texts.jsonl', '{"text": "A cat"}\n"A dog"\n');
  await folder.put('prompts.jsonl', '{"prompt":"Once","maxTokens":9}\n{"ids":[0,440],"maxTokens":9}\n');
  copyFileSync(join(ROOT, 'test/goldens/vision/cat.jpg'), join(folder.path, 'photo.jpg'));
  copyFileSync(join(ROOT, 'test/goldens/vision/cat.jpg'), join(folder.path, 'other.png')); // its bytes say what it is
  copyFileSync(join(ROOT, 'test/goldens/vision/cat.jpg'), join(folder.path, 'sketch.png'));
  cpSync(QUICK_GELU_FOLDER, join(folder.path, 'clip-folder'), { recursive: true });
  await folder.put('answer.json', '{"enum": ["yes", "no", {"unknown": true}]}');
  await folder.put('answer.gbnf', 'root ::= "yes" | "no"');
});
afterAll(() => folder.remove());

/** Names of files in the examples: they lie in the test's folder. */
const FILE_NAME = /^(clip-folder|[\w.]+\.(gguf|txt|safetensors|jsonl?|gbnf|session|jpg|png|svg))$/;

/** Words as a shell splits them, for double quotes and blanks. */
function split(line: string): string[] {
  return (line.match(/"[^"]*"|\S+/g) ?? []).map((word) => word.replace(/^"(.*)"$/, '$1'));
}

/** Where the slow tiers run, and no model is named, the small one does; a later flag wins over an earlier one. */
function shortened(words: readonly string[]): string[] {
  const isSlow = words[0] === 'compare' || words.includes('naive64');
  return isSlow && !words.includes('--model') ? [...words, '--model', 'model.gguf'] : [...words];
}

async function runExample(line: string): Promise<void> {
  const [program, ...words] = split(line);
  expect(program).toBe('glassformer');
  const argv = shortened(words).map((word) => (FILE_NAME.test(word) ? join(folder.path, word) : word));
  const { exitCode, stderr } = await runCli(argv, { lines: ['Hello', '/quit'] });
  expect({ line, exitCode }, stderr).toEqual({ line, exitCode: 0 });
}

const guide = readFileSync(join(ROOT, 'docs', 'cli.md'), 'utf8');
const examplesOf = (text: string): string[] =>
  [...text.matchAll(/```sh\n([^`]*)```/g)].flatMap(([, block]) => block!.trimEnd().split('\n'));
const guideExamples = examplesOf(guide);
const chatExamples = examplesOf(readFileSync(join(ROOT, 'docs', 'chat.md'), 'utf8'));
const THINKING_TEMPLATE = `{% if enable_thinking %}{% endif %}${CHAT_TEMPLATE}`;

describe('docs/cli.md', () => {
  test.each(guideExamples)('%s', runExample);
  test.each(chatExamples.map((line) => [line] as const))('docs/chat.md: %s', runExample);

  test('shows every command, and every flag that a command has', async () => {
    for (const name of COMMAND_NAMES) {
      expect(guide).toContain(`\n## ${name}\n`);
      const { stdout } = await runCli(['help', name]);
      const flags = [...stdout.matchAll(/^ +(?:-\w, )?(--[\w-]+)/gm)].map(([, flag]) => flag!);
      expect(flags.length).toBeGreaterThan(4);
      const missing = flags.filter((flag) => !['--help', '--debug'].includes(flag) && !guide.includes(flag));
      expect([name, missing]).toEqual([name, []]);
    }
  });
});

describe.each(['', ...COMMAND_NAMES])('glassformer %s --help', (name) => {
  test('shows examples that run', async () => {
    const { stdout } = await runCli([...(name === '' ? [] : [name]), '--help']);
    const examples = stdout.slice(stdout.indexOf('Examples:')).match(/^ {2}glassformer.*?(?= {3,}|$)/gm) ?? [];
    expect(examples.length).toBeGreaterThanOrEqual(2);
    // Those that the guide has too have been run.
    for (const example of examples) if (!guideExamples.includes(example.trim())) await runExample(example.trim());
  });
});
