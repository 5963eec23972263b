import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { runCli, runJson } from './fake_io.ts';
import { createTempFolder, embeddedContent, writeGguf } from './model_files.ts';

interface Json {
  ids: number[];
  tokens: string[];
}

let folder: Awaited<ReturnType<typeof createTempFolder>>;
beforeAll(async () => {
  folder = await createTempFolder();
});
afterAll(() => folder.remove());

describe('tokenize', () => {
  test('ids and pieces, with the start token or without', async () => {
    const json = await runJson<Json>(['tokenize', 'Once there was']);
    expect(json).toEqual({ ids: [0, 440, 414, 298], tokens: ['<|bos|>', 'Once', ' there', ' was'] });
    expect(await runJson<Json>(['tokenize', '--no-special', 'Once', 'there was'])).toEqual({
      ids: [440, 414, 298],
      tokens: ['Once', ' there', ' was'],
    });
  });

  test('for people: a line for each token, its text in quotes', async () => {
    const { exitCode, stdout, stderr } = await runCli(['tokenize', 'Once there was']);
    expect({ exitCode, stdout }).toEqual({
      exitCode: 0,
      stdout: '  0  "<|bos|>"\n440  "Once"\n414  " there"\n298  " was"\n',
    });
    expect(stderr).toBe('4 tokens\n');
  });

  test('pieces that would drive a terminal are escaped', async () => {
    const { stdout } = await runCli(['tokenize', '--no-special', 'a\x1b[2J\u0085\n']);
    expect(stdout).not.toMatch(/[^\P{Cc}\n]/u);
    const json = await runCli(['tokenize', '--no-special', '--json', 'a\x1b[2J\u0085\u202e']);
    expect(json.stdout).not.toMatch(/[^\P{Cc}\n]|\p{Cf}/u);
    expect((JSON.parse(json.stdout) as Json).tokens.length).toBeGreaterThan(4);
  });

  test('text from a file and from standard input', async () => {
    const text = 'A file,\nof two lines. ';
    const file = await folder.put('text.txt', text);
    const expected = await runJson<Json>(['tokenize', text]);
    expect(await runJson<Json>(['tokenize', '--file', file])).toEqual(expected);
    const stdinBytes = new TextEncoder().encode(text);
    expect(await runJson<Json>(['tokenize', '--file', '-'], { stdinBytes })).toEqual(expected);
  });

  test('--decode gives the exact text back', async () => {
    const text = '  Zoë said: "A fox!" \t\n';
    const { ids } = await runJson<Json>(['tokenize', text]);
    const decoded = await runCli(['tokenize', '--decode', ids.join(',')]);
    expect(decoded).toEqual({ exitCode: 0, stdout: text, stderr: '' });
    const json = await runJson<Json & { text: string }>(['tokenize', '--decode', ids.join(', ')]);
    expect(json.text).toBe(text);
    expect(json.ids).toEqual(ids);
    expect(json.tokens).toHaveLength(ids.length);
  });

  test('an id that the vocabulary does not have', async () => {
    const { exitCode, stderr } = await runCli(['tokenize', '--decode', '5,4096']);
    expect(exitCode).toBe(1);
    expect(stderr).toContain('token id 4096 is not in the vocabulary, which has 1024 ids');
  });

  test('a vocabulary is enough: no architecture, no tensor', async () => {
    const { metadata } = await embeddedContent();
    const vocabulary = metadata.filter(([key]) => key.startsWith('tokenizer.'));
    const model = await folder.put('vocabulary.gguf', writeGguf({ metadata: vocabulary, tensors: [] }));
    expect(await runJson(['tokenize', '--model', model, 'Once'])).toEqual({
      ids: [0, 440],
      tokens: ['<|bos|>', 'Once'],
    });
    const bare = await folder.put('bare.gguf', writeGguf({ metadata: [], tensors: [] }));
    expect((await runCli(['tokenize', '--model', bare, 'Once'])).exitCode).toBe(1);
  });
});

describeWithFixture('stories260k', 'a Hugging Face folder', () => {
  test('has the ids of the GGUF file', async () => {
    const text = 'Once upon a time, in Köln';
    const byFolder = await runJson<Json>(['tokenize', '--model', fixture('stories260k'), text]);
    const byFile = await runJson<Json>(['tokenize', '--model', fixture('stories260k', 'stories260K-f32.gguf'), text]);
    expect(byFolder).toEqual(byFile);
  });
});
