import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MetaValue } from '../../src/core/metadata.ts';
import type { Model } from '../../src/engine/model.ts';
import { loadModel } from '../../src/index.node.ts';
import type { GgufContent } from '../../src/load/gguf_writer.ts';
import { type FakeOptions, runCli } from './fake_io.ts';
import { createTempFolder, tinyContent, withPair, writeGguf } from './model_files.ts';

// A model that thinks: the random one draws the same tokens for a seed, and the vocabulary is changed so that some of them are
// markers. What its words were before does not matter.

const CONTROL = 3;
const SEED = ['--seed', '28', '--temperature', '1', '-n', '12'];
const OPTIONS = { seed: 28, temperature: 1, maxTokens: 12 };

/** A template that leaves thoughts out of old turns, as Qwen3's does, and opens them where `opening` says so. */
const template = (opening: string): string =>
  `{% for m in messages %}{{ '<|' + m.role + '|>' + m.content.split('</think>')[-1] + '<|end|>' }}{% endfor %}` +
  `{% if add_generation_prompt %}{{ '<|assistant|>${opening}' }}{% endif %}`;

let folder: Awaited<ReturnType<typeof createTempFolder>>;
let tiny: GgufContent;
beforeAll(async () => {
  folder = await createTempFolder();
  tiny = await tinyContent();
});
afterAll(() => folder.remove());

const chatPrompt = (content: string) => ({ messages: [{ role: 'user', content }] });

async function idsOf(model: Model): Promise<number[]> {
  const ids: number[] = [];
  for await (const { id } of model.generate(chatPrompt('Hello'), OPTIONS)) ids.push(id);
  return ids;
}

function valuesOf(content: GgufContent, key: string): (string | number)[] {
  const value = content.metadata.find(([k]) => k === key)![2] as Extract<MetaValue, { values: unknown }>;
  return [...(value.values as (string | number)[])];
}

/** The path of a model that answers Hello with these pieces first, under this template; special: those that are control tokens. */
async function thinking(
  name: string,
  chatTemplate: string,
  pieces: Readonly<Record<number, string>>,
  special: readonly number[] = [],
): Promise<string> {
  const plain = withPair(tiny, 'tokenizer.chat_template', 'string', chatTemplate);
  const path = await folder.put(name, writeGguf(plain));
  await using model = await loadModel(path);
  const ids = await idsOf(model);
  const tokens = valuesOf(plain, 'tokenizer.ggml.tokens') as string[];
  const types = valuesOf(plain, 'tokenizer.ggml.token_type') as number[];
  const renamed = new Set<string>();
  expect(new Set(ids).size).toBe(OPTIONS.maxTokens); // else a word would be there twice
  for (const [place, piece] of Object.entries(pieces)) {
    const id = ids[Number(place)]!;
    renamed.add(tokens[id]!);
    tokens[id] = piece;
    if (special.includes(Number(place))) types[id] = CONTROL;
  }
  // No word is made of them any more.
  const merges = (valuesOf(plain, 'tokenizer.ggml.merges') as string[]).filter((merge) => {
    const [a = '', b = ''] = merge.split(' ');
    return ![a, b, a + b].some((piece) => renamed.has(piece));
  });
  let content = withPair(plain, 'tokenizer.ggml.tokens', 'array', { arrayOf: 'string', values: tokens });
  content = withPair(content, 'tokenizer.ggml.token_type', 'array', { arrayOf: 'i32', values: Int32Array.from(types) });
  content = withPair(content, 'tokenizer.ggml.merges', 'array', { arrayOf: 'string', values: merges });
  return folder.put(name, writeGguf(content));
}

interface Turn {
  text: string;
  reasoning?: string;
  ids: number[];
}

async function turnsOf(model: string, lines: readonly string[]): Promise<Turn[]> {
  const { exitCode, stdout, stderr } = await runCli(['chat', '--model', model, '--json', ...SEED], { lines });
  if (exitCode !== 0) throw new Error(stderr);
  return stdout
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line) as Turn);
}

const plainRun = async (model: string, options: FakeOptions = {}) =>
  runCli(['chat', '--model', model, ...SEED], { lines: ['Hello'], ...options });

/** The bytes of "Ġ" are a blank in this vocabulary. */
const WHOLE = { 0: '<think>', 1: 'ĠTwwo', 2: 'Ġannd', 3: '</think>', 4: 'ĠFourr' };
/** Markers in halves, the second one with text on both sides. */
const SPLIT = { 0: '<th', 1: 'ink>', 2: 'Twwo</', 3: 'think>Ġ', 4: 'Fourr' };

describe('thoughts and answer', () => {
  test.each<[string, Readonly<Record<number, string>>, string]>([
    ['markers that are tokens', WHOLE, 'Twwo annd'],
    ['markers spread over tokens', SPLIT, 'Twwo'],
  ])('%s', async (name, pieces, reasoning) => {
    const path = await thinking(`${name}.gguf`, template(''), pieces);
    const [turn] = await turnsOf(path, ['Hello']);
    expect(turn!.reasoning).toBe(reasoning);
    expect(turn!.text.startsWith('Fourr')).toBe(true);
    await using model = await loadModel(path);
    const all = model.detokenize(turn!.ids);
    expect(all).toContain('</think>');
    expect(all.endsWith(turn!.text)).toBe(true);
    // Without a terminal stdout has the answer alone; on one the thoughts come first, dimmed.
    expect((await plainRun(path)).stdout).toBe(`${turn!.text}\n`);
    const shown = (await plainRun(path, { isStdoutTerminal: true })).stdout;
    const plain = shown.replaceAll('\x1b[2m', '').replaceAll('\x1b[0m', '');
    expect(plain.startsWith(`${reasoning}\n\nFourr`)).toBe(true);
    expect(shown.startsWith('\x1b[2m')).toBe(true);
    expect(shown.slice(shown.indexOf('\n\n'))).not.toContain('\x1b[2m');
    expect((await plainRun(path, { isStdoutTerminal: true, env: { NO_COLOR: '1' } })).stdout).toBe(plain);
  });

  test('a thought that the prompt opens', async () => {
    const path = await thinking('opened.gguf', template('<think>\\n'), { 2: '</think>', 3: 'Fourr' });
    const [turn] = await turnsOf(path, ['Hello']);
    expect(turn!.reasoning!.length).toBeGreaterThan(0);
    expect(turn!.text.startsWith('Fourr')).toBe(true);
    // Asked again in the same session only the end of the prompt is run, and it is open all the same.
    await using model = await loadModel(path);
    using session = model.createSession();
    const prompt = model.promptIds(chatPrompt('Hello'));
    await session.append(prompt.slice(0, -1));
    const parts: string[] = [];
    for await (const piece of model.generateIn(session, prompt.slice(-1), { ...OPTIONS, reasoning: true })) {
      parts.push(...piece.parts!.map(({ kind }) => kind));
    }
    expect(parts[0]).toBe('reasoning');
    expect(parts.at(-1)).toBe('answer');
  });

  test('markers that are special tokens', async () => {
    const magistral = template('').replaceAll('</think>', '[/THINK]');
    const pieces = { 0: '[THINK]', 1: 'Twwo', 2: '[/THINK]', 3: 'Fourr' };
    const path = await thinking('special.gguf', magistral, pieces, [0, 2]);
    const [turn] = await turnsOf(path, ['Hello']);
    expect(turn!.reasoning).toBe('Twwo');
    expect(turn!.text.startsWith('Fourr')).toBe(true);
  });

  test('a thought without an end, and a model whose template has no markers', async () => {
    const path = await thinking('unclosed.gguf', template(''), { 0: '<think>', 1: 'Twwo' });
    const [turn] = await turnsOf(path, ['Hello']);
    expect(turn!.text).toBe('');
    expect(turn!.reasoning!.startsWith('Twwo')).toBe(true);
    expect((await plainRun(path)).stderr).toContain(
      'it ended within its thoughts, without an answer: raise --max-tokens',
    );
    const none = await thinking('none.gguf', template('').replaceAll('</think>', '#'), WHOLE);
    const [plain] = await turnsOf(none, ['Hello']);
    expect(plain!.reasoning).toBeUndefined();
    expect(plain!.text.startsWith('<think> Twwo annd</think> Fourr')).toBe(true);
  });

  test('thoughts are no part of what the next answer is about', async () => {
    const path = await thinking('history.gguf', template(''), WHOLE);
    const [first, second] = await turnsOf(path, ['Hello', 'And then?']);
    await using model = await loadModel(path);
    const messages = [
      { role: 'user', content: 'Hello' },
      { role: 'assistant', content: first!.text },
      { role: 'user', content: 'And then?' },
    ];
    const ids: number[] = [];
    for await (const { id } of model.generate({ messages }, OPTIONS)) ids.push(id);
    expect(second!.ids).toEqual(ids);
  });

  test('pieces have parts when they are asked for, beside the text as it was', async () => {
    const path = await thinking('parts.gguf', template(''), WHOLE);
    await using model = await loadModel(path);
    const texts: string[] = [];
    const parts: string[] = [];
    for await (const piece of model.generate(chatPrompt('Hello'), { ...OPTIONS, reasoning: true })) {
      texts.push(piece.text);
      parts.push(...piece.parts!.map(({ kind, text }) => `${kind}: ${text}`));
    }
    expect(texts.slice(0, 5)).toEqual(['<think>', ' Twwo', ' annd', '</think>', ' Fourr']);
    expect(parts.slice(0, 3)).toEqual(['reasoning: Twwo', 'reasoning:  annd', 'answer: Fourr']);
    const many: string[] = [];
    const request = { prompt: chatPrompt('Hello'), ...OPTIONS, reasoning: true };
    for await (const event of model.generateMany([request])) {
      if ('piece' in event) many.push(...event.piece.parts!.map(({ kind, text }) => `${kind}: ${text}`));
    }
    expect(many).toEqual(parts);
    const plain: string[] = [];
    for await (const piece of model.generate(chatPrompt('Hello'), OPTIONS)) {
      expect(piece.parts).toBeUndefined();
      plain.push(piece.text);
    }
    expect(plain).toEqual(texts);
  });
});
