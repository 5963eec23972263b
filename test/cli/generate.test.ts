import { availableParallelism } from 'node:os';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { OUTPUT_CLOSED } from '../../src/cli/io.ts';
import { loadModel } from '../../src/index.node.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

interface Json {
  text: string;
  ids: number[];
  finishReason: string;
  timings: Record<string, number>;
  logprobs?: { id: number; token: string; logprob: number; top: { id: number; token: string; logprob: number }[] }[];
}

const GREEDY = ['--temperature', '0'];

let folder: Awaited<ReturnType<typeof createTempFolder>>;
/** Random weights: fast, and the same in every tier. */
let tiny: string;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await folder.put('tiny.gguf', writeGguf(await tinyContent()));
});
afterAll(() => folder.remove());

/** What the library gives for the same request. */
async function byLibrary(prompt: string | { ids: number[] }, maxTokens: number) {
  await using model = await loadModel(tiny, { executor: 'naive' });
  const pieces = [];
  for await (const piece of model.generate(prompt, { temperature: 0, maxTokens })) pieces.push(piece);
  return { text: pieces.map((p) => p.text).join(''), ids: pieces.map((p) => p.id) };
}

test('threads that do not run are told on stderr, in one line', async () => {
  const flags = [...GREEDY, '-n', '2', '--model', tiny, '--executor', 'naive', '--threads', 'auto'];
  const { stderr, exitCode } = await runCli(['generate', ...flags, 'Once']);
  const n = Math.min(8, availableParallelism());
  const notice = n === 1 ? '' : `threads: 1 instead of ${n}: the naive executor has no more\n`;
  expect(exitCode).toBe(0);
  expect(stderr.startsWith(notice)).toBe(true);
  expect(stderr.split('\n')).toHaveLength(n === 1 ? 2 : 3); // and the figures
});

describe('stdout is the text and nothing else', () => {
  test('with and without the command, from words, a file, standard input or ids', async () => {
    const expected = await byLibrary('Once there was', 12);
    const flags = [...GREEDY, '-n', '12', '--model', tiny, '--executor', 'naive'];
    const file = await folder.put('prompt.txt', 'Once there was');
    const stdin = new TextEncoder().encode('Once there was');
    const runs = [
      await runCli(['Once there was', ...flags]),
      await runCli(['Once', 'there', 'was', ...flags]),
      await runCli([...flags, 'Once there was']),
      await runCli(['generate', 'Once there was', ...flags]),
      await runCli(['generate', '--file', file, ...flags]),
      await runCli(['generate', '--file', '-', ...flags], { stdinBytes: stdin }),
      await runCli(['generate', '--ids', '0,440,414,298', ...flags]),
    ];
    for (const { exitCode, stdout } of runs)
      expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expected.text });
  });

  test('in every tier', async () => {
    const flags = [...GREEDY, '-n', '8', '--model', tiny, '--activations', 'f32', 'One day'];
    const wasm = await runCli(flags);
    for (const tier of ['naive', 'naive64']) {
      expect((await runCli([...flags, '--executor', tier])).stdout).toBe(wasm.stdout);
    }
  });

  test('no words at all: the model begins from its start token, as an empty prompt does', async () => {
    const { text } = await byLibrary({ ids: [0] }, 6);
    const flags = [...GREEDY, '-n', '6', '--model', tiny];
    for (const argv of [flags, ['', ...flags], ['generate', ...flags]]) {
      expect((await runCli(argv)).stdout).toBe(text);
    }
  });

  test('--raw leaves the start token out', async () => {
    const flags = [...GREEDY, '-n', '6', '--model', tiny];
    const { text } = await byLibrary({ ids: [440, 414] }, 6);
    expect((await runCli(['--raw', 'Once there', ...flags])).stdout).toBe(text);
  });

  test('a word that is a command is a prompt of `generate`', async () => {
    const { exitCode, stdout } = await runCli(['generate', 'inspect', ...GREEDY, '-n', '4', '--model', tiny]);
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: (await byLibrary('inspect', 4)).text });
  });

  test('what looks like a flag comes after --', async () => {
    const { stdout } = await runCli(['generate', ...GREEDY, '-n', '4', '--model', tiny, '--', '--top-p']);
    expect(stdout).toBe((await byLibrary('--top-p', 4)).text);
  });
});

describe('on a terminal', () => {
  const flags = (...rest: string[]) => [...GREEDY, '-n', '5', '--model', tiny, ...rest];

  test('a new line follows the text, and the prompt goes before it, dimmed, on stderr', async () => {
    const { text } = await byLibrary('One day', 5);
    const { stdout, stderr } = await runCli(flags('One day'), { isStdoutTerminal: true, isStderrTerminal: true });
    expect(stdout).toBe(`${text}\n`);
    expect(stderr.startsWith('\x1b[2mOne day\x1b[0m')).toBe(true);
    const onlyStdout = await runCli(flags('One day'), { isStdoutTerminal: true });
    expect(onlyStdout.stderr).not.toContain('One day');
  });

  test('control characters of the text are shown, not obeyed', async () => {
    const escapeId = (await runJson<{ ids: number[] }>(['tokenize', '--no-special', '\x1b'])).ids[0]!;
    const argv = [...flags(), '--logit-bias', `${escapeId}=1000`];
    expect((await runCli(argv)).stdout).toBe('\x1b'.repeat(5));
    expect((await runCli(argv, { isStdoutTerminal: true })).stdout).toBe(`${'\\x1b'.repeat(5)}\n`);
  });
});

describe('--json', () => {
  test('has text, every id, the reason and the timings, and no other key', async () => {
    const json = await runJson<Json>([...GREEDY, '-n', '7', '--model', tiny, 'One day']);
    expect(Object.keys(json)).toEqual(['text', 'ids', 'finishReason', 'timings']);
    expect(json).toMatchObject({ ...(await byLibrary('One day', 7)), finishReason: 'length' });
    expect(Object.keys(json.timings)).toEqual(['promptTokens', 'promptMs', 'genTokens', 'genMs']);
    expect(json.timings).toMatchObject({ promptTokens: 3, genTokens: 7 });
    for (const ms of [json.timings['promptMs'], json.timings['genMs']]) expect(ms).toBeGreaterThan(0);
  });

  test('--logprobs lists the likeliest tokens of each step', async () => {
    const json = await runJson<Json>([...GREEDY, '-n', '3', '--logprobs', '4', '--model', tiny, 'One day']);
    expect(json.logprobs).toHaveLength(3);
    json.logprobs!.forEach(({ id, logprob, top }, i) => {
      expect(id).toBe(json.ids[i]);
      expect(top).toHaveLength(4);
      expect(top[0]).toMatchObject({ id, logprob }); // greedy
      expect(top.map((t) => t.logprob)).toEqual(top.map((t) => t.logprob).toSorted((a, b) => b - a));
    });
    const people = await runCli([...GREEDY, '-n', '3', '--logprobs', '4', '--model', tiny, 'One day']);
    expect(people.stdout).toBe(json.text);
    expect(people.stderr).toContain(json.logprobs![0]!.logprob.toFixed(4));
  });

  test('finishReason tells the full context, the stop string, and the end token', async () => {
    const full = await runJson<Json>([...GREEDY, '--max-seq', '10', '--model', tiny, '--ids', '0,440,414']);
    expect(full).toMatchObject({ finishReason: 'context', timings: { promptTokens: 3, genTokens: 8 } });

    const some = await runJson<Json>([...GREEDY, '-n', '9', '--model', tiny, 'One day']);
    const stop = some.text.slice(4, 7);
    const stopped = await runJson<Json>([
      ...GREEDY,
      '-n',
      '9',
      '--model',
      tiny,
      '--stop',
      stop,
      '--stop',
      'no',
      'One day',
    ]);
    expect(stopped).toMatchObject({ text: some.text.slice(0, some.text.indexOf(stop)), finishReason: 'stop' });

    const ended = await runJson<Json>([...GREEDY, '--model', tiny, '--logit-bias', '1=1000', 'One day']);
    expect(ended).toMatchObject({ text: '', ids: [1], finishReason: 'eos' });
  });
});

describe('seeds', () => {
  const flags = () => ['-n', '12', '--temperature', '1.5', '--model', tiny, 'One day'];
  const seedOf = ({ stderr }: { stderr: string }): string => /seed (\d+)\n$/.exec(stderr)![1]!;

  test('the figures tell a fresh seed, with which the run can be repeated', async () => {
    const first = await runCli(flags());
    const again = await runCli([...flags(), '--seed', seedOf(first)]);
    expect(again.stdout).toBe(first.stdout);
    expect(seedOf(again)).toBe(seedOf(first));
    const seeds = new Set([seedOf(first), seedOf(await runCli(flags())), seedOf(await runCli(flags()))]);
    expect(seeds.size).toBe(3);
  });

  test('another seed, another text; the largest is 2^64 - 1', async () => {
    const texts = new Set<string>();
    for (const seed of ['0', '1', '9007199254740993', '18446744073709551615']) {
      const result = await runCli([...flags(), '--seed', seed]);
      expect([result.exitCode, seedOf(result)]).toEqual([0, seed]);
      texts.add(result.stdout);
    }
    expect(texts.size).toBe(4);
  });

  test('where nothing is drawn, no seed is told', async () => {
    expect((await runCli([...flags(), ...GREEDY])).stderr).not.toContain('seed');
  });
});

test('the figures are one line on stderr', async () => {
  const { stderr } = await runCli([...GREEDY, '-n', '4', '--model', tiny, '--executor', 'naive', 'One day']);
  const number = String.raw`[\d.]+`;
  const bytes = String.raw`[\d.]+ [kMG]?B`;
  expect(stderr).toMatch(
    new RegExp(
      `^3 prompt tokens at ${number} tokens/s, 4 tokens generated at ${number} tokens/s \\| ` +
        `weights ${bytes}, cache ${bytes}, peak ${bytes} \\| naive [^|]*\n$`,
    ),
  );
});

describe('Ctrl-C', () => {
  test('stops between two tokens: what there is, the figures, exit code 130', async () => {
    const whole = await runCli([...GREEDY, '-n', '60', '--model', tiny, 'One day']);
    let nTexts = 0;
    const { exitCode, stdout, stderr } = await runCli([...GREEDY, '-n', '60', '--model', tiny, 'One day'], {
      onStdout(_text, io) {
        nTexts++;
        if (nTexts === 5) io.pressCtrlC();
      },
    });
    expect(exitCode).toBe(130);
    expect(nTexts).toBe(5);
    expect(whole.stdout.startsWith(stdout)).toBe(true);
    expect(stdout.length).toBeLessThan(whole.stdout.length);
    expect(stderr).toMatch(/^3 prompt tokens at .* generated at .*\n$/);
    expect(stderr).not.toContain('error');
  });

  test('wherever it comes, --json is the whole of what there is, or nothing yet', async () => {
    const argv = [...GREEDY, '--json', '-n', '4', '--model', tiny, 'One day'];
    const whole = JSON.parse((await runCli(argv)).stdout) as Json;
    const seen = new Set<string>();
    for (let check = 1; ; check++) {
      const { exitCode, stdout } = await runCli(argv, { interruptAtCheck: check });
      if (exitCode === 0) break; // the run was over before
      expect(exitCode).toBe(130);
      if (stdout === '') {
        seen.add('loading');
        continue;
      }
      const { ids, text, finishReason, timings } = JSON.parse(stdout) as Json;
      expect(finishReason).toBe('interrupted');
      expect(ids).toEqual(whole.ids.slice(0, ids.length));
      expect(whole.text.startsWith(text)).toBe(true);
      expect(timings).toMatchObject({ promptTokens: 3, genTokens: ids.length });
      seen.add(`${ids.length} tokens`);
    }
    expect([...seen]).toEqual(['loading', '0 tokens', '1 tokens', '2 tokens', '3 tokens']);
  });
});

test('a reader that goes away ends the run, quietly and at once', async () => {
  let nTexts = 0;
  const { exitCode, stderr } = await runCli([...GREEDY, '--model', tiny, 'One day'], {
    onStdout(_text, io) {
      nTexts++;
      if (nTexts === 3) io.abort(OUTPUT_CLOSED);
    },
  });
  expect({ exitCode, stderr, nTexts }).toEqual({ exitCode: 0, stderr: '', nTexts: 3 });
});

test('a model without a start token needs a prompt', async () => {
  const content = withPair(await tinyContent(), 'tokenizer.ggml.add_bos_token', 'bool', false);
  const model = await folder.put('no-bos.gguf', writeGguf(content));
  const { exitCode, stderr } = await runCli([...GREEDY, '-n', '2', '--model', model]);
  expect(exitCode).toBe(1);
  expect(stderr).toContain('the prompt has no tokens');
  expect((await runCli([...GREEDY, '-n', '2', '--model', model, 'One day'])).exitCode).toBe(0);
});

test('a prompt that is no text is refused', async () => {
  const { exitCode, stderr } = await runCli(['generate', '--file', '-'], { stdinBytes: Uint8Array.of(0x41, 0xff) });
  expect(exitCode).toBe(2);
  expect(stderr).toContain('standard input: is not UTF-8');
});
