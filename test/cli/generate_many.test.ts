import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, writeGguf } from './model_files.ts';

interface Line {
  index: number;
  sample: number;
  text: string;
  ids: number[];
  finishReason: string;
  seed: number;
  error?: string;
}

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: string;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await folder.put('tiny.gguf', writeGguf(await tinyContent()));
});
afterAll(() => folder.remove());

const linesOf = (stdout: string): Line[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);

const runFile = async (text: string, ...flags: string[]) =>
  runCli(['generate', '--model', tiny, '--file', await folder.put('prompts.jsonl', text), '-n', '8', ...flags]);

describe('generate --file prompts.jsonl', () => {
  test('each line has the text of its own run, in the order of the file; blank lines, CRLF, no last newline', async () => {
    const text =
      '{"prompt":"Once there","seed":4}\r\n\r\n{"ids":[0,440],"temperature":0,"maxTokens":3}\n{"prompt":"One day","priority":9}';
    const { exitCode, stdout } = await runFile(text, '--seed', '7', '--batch', '2', '--json');
    expect(exitCode).toBe(0);
    const lines = linesOf(stdout);
    expect(lines.map(({ index }) => index)).toEqual([0, 1, 2]);
    const alone = [
      await runJson<Line>(['generate', '--model', tiny, '-n', '8', '--seed', '4', 'Once there']),
      await runJson<Line>(['generate', '--model', tiny, '-n', '3', '--temperature', '0', '--ids', '0,440']),
      await runJson<Line>(['generate', '--model', tiny, '-n', '8', '--seed', '9', 'One day']), // 7 + its index
    ];
    for (const [i, { text, ids, finishReason }] of alone.entries()) {
      expect(lines[i]).toMatchObject({ text, ids, finishReason });
    }
    expect(lines[2]!.seed).toBe(9);
    const people = await runFile(text, '--seed', '7');
    expect(people.stdout).toBe([1, 3, 4].map((line, i) => `== line ${line} ==\n${alone[i]!.text}\n`).join(''));
  });

  test.each([
    ['{"prompt":"a"}\n{"prompt":', /prompts\.jsonl: line 2: is not JSON/],
    ['[1]', /line 1: is no object/],
    ['{}', /line 1: has no prompt; give one of prompt, messages, ids/],
    ['{"prompt":"a","ids":[1]}', /line 1: has prompt and ids/],
    ['\n{"prompt":"a","heat":1}', /line 2: has "heat"; known are prompt/],
    ['{"prompt":"a","topP":"1"}', /line 1: topP is "1", must be a number/],
    ['{"prompt":"a","topP":7}', /line 1: top-p is 7/],
    ['{"prompt":"a","stop":"b"}', /line 1: stop is "b", must be a list of texts/],
    ['{"prompt":"a","priority":0.5}', /line 1: priority is 0\.5/],
    ['{"prompt":"a","n":0}', /line 1: n is 0/],
    ['{"ids":[]}', /line 1: ids must be a list/],
    ['{"messages":[1]}', /line 1: messages must be a list/],
  ])('%j is refused before anything runs', async (text, message) => {
    const { exitCode, stdout, stderr } = await runFile(text);
    expect({ exitCode, stdout }).toEqual({ exitCode: 2, stdout: '' });
    expect(stderr).toMatch(message);
  });

  test('a line of 100 MB is refused by its number', async () => {
    const { exitCode, stderr } = await runFile(`{"prompt":"a"}\n{"prompt":"${'x'.repeat(1e8)}"}\n`);
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/line 2: has 100000013 characters, at most 8388608/);
  });

  test('what fails while it runs is told with its line; the others have their texts, and the exit code is 1', async () => {
    const { exitCode, stdout, stderr } = await runFile('{"ids":[999999]}\n{"prompt":"One"}\n', '--json');
    expect(exitCode).toBe(1);
    const lines = linesOf(stdout);
    expect(lines[0]).toMatchObject({ index: 0, error: expect.stringMatching(/token id 999999 is outside/) });
    expect(lines[1]).toMatchObject({ index: 1, finishReason: 'length' });
    expect(stderr).toMatch(/1 of 2 failed/);
  });

  test('Ctrl-C ends it with what there is', async () => {
    const { exitCode, stdout } = await runCli(
      [
        'generate',
        '--model',
        tiny,
        '--file',
        await folder.put('two.jsonl', '{"prompt":"One","maxTokens":2}\n{"prompt":"Two"}'),
        '--json',
      ],
      { onStdout: (_, io) => io.pressCtrlC() },
    );
    expect(exitCode).toBe(130);
    expect(linesOf(stdout).map(({ finishReason }) => finishReason)).toEqual(['length', 'interrupted']);
  });

  test('an empty file gives nothing', async () => {
    expect(await runFile('')).toMatchObject({ exitCode: 0, stdout: '' });
  });

  test('words, ids and logprobs do not go with it', async () => {
    for (const flags of [['word'], ['--ids', '1'], ['--raw'], ['--logprobs', '1']]) {
      expect((await runFile('{"prompt":"a"}', ...flags)).exitCode).toBe(2);
    }
  });
});

test('more samples than can be kept are refused before a model is read', async () => {
  const { exitCode, stderr } = await runCli(['generate', '--model', 'nothing.gguf', '--n', '99999999', 'One day']);
  expect(exitCode).toBe(2);
  expect(stderr).toContain('n is 99999999, must be an integer from 1 to 65536; run more with other seeds');
});

test('generate --n: sample k is the run with the seed plus k', async () => {
  const flags = ['--model', tiny, '-n', '6', '--seed', '5'];
  const { stdout } = await runCli(['generate', ...flags, '--n', '3', '--json', 'One day']);
  const lines = linesOf(stdout);
  expect(lines.map(({ sample, seed }) => [sample, seed])).toEqual([
    [0, 5],
    [1, 6],
    [2, 7],
  ]);
  for (const { seed, text, ids } of lines) {
    const alone = await runJson<Line>(['generate', '--model', tiny, '-n', '6', '--seed', String(seed), 'One day']);
    expect({ text, ids }).toEqual({ text: alone.text, ids: alone.ids });
  }
});
