import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, FormatError, UnsupportedError } from '../../src/core/errors.ts';
import type { GenerateOptions, Piece, Summary } from '../../src/engine/generate.ts';
import type { Model, Prompt } from '../../src/engine/model.ts';
import { loadModel } from '../../src/index.node.ts';

let model: Model;
beforeAll(async () => {
  model = await loadModel('embedded');
});
afterAll(() => model.dispose());

async function all(prompt: Prompt, options: GenerateOptions) {
  const pieces: Piece[] = [];
  const stream = model.generate(prompt, options);
  for (;;) {
    const step = await stream.next();
    if (step.done) return { pieces, summary: step.value as Summary, text: pieces.map((p) => p.text).join('') };
    pieces.push(step.value);
  }
}

const PROMPT = 'Once upon a time';
const SCHEMA = {
  type: 'object',
  properties: { name: { type: 'string', maxLength: 12 }, age: { type: 'integer', minimum: 1, maximum: 99 } },
  required: ['name', 'age'],
};

describe('a schema', () => {
  test('gives JSON of that form, by any seed', async () => {
    for (let seed = 0; seed < 6; seed++) {
      const { text, summary } = await all(PROMPT, { schema: SCHEMA, seed });
      const { name, age, ...more } = JSON.parse(text) as Record<string, unknown>;
      expect(more).toEqual({});
      expect([...(name as string)].length).toBeLessThanOrEqual(12);
      expect([Number.isInteger(age), (age as number) >= 1, (age as number) <= 99]).toEqual([true, true, true]);
      expect(summary).toMatchObject({ finishReason: 'grammar', isComplete: true });
    }
  });

  test('the same seed gives the same text, in naive and wasm', async () => {
    await using naive = await loadModel('embedded', { executor: 'naive' });
    const options = { schema: SCHEMA, seed: 4, maxTokens: 8, topLogprobs: 1 };
    const stream = naive.generate(PROMPT, options);
    const { pieces } = await all(PROMPT, options);
    for (const piece of pieces) expect((await stream.next()).value).toEqual(piece);
  });

  test('log-probabilities stay those of the model', async () => {
    const [first] = (await all(PROMPT, { schema: SCHEMA, temperature: 0, topLogprobs: 1 })).pieces;
    const [plain] = (await all(PROMPT, { temperature: 0, topLogprobs: 1, maxTokens: 1 })).pieces;
    expect(first!.top).toEqual(plain!.top);
    expect(first!.logprob).toBeLessThan(plain!.logprob);
  });
});

describe('a grammar', () => {
  test('of one text gives this text, whatever the model would say', async () => {
    const { text, summary } = await all(PROMPT, { grammar: 'root ::= " 日本 😀, \\"quoted\\"\\n"', temperature: 0 });
    expect(text).toBe(' 日本 😀, "quoted"\n');
    expect(summary).toMatchObject({ finishReason: 'grammar', isComplete: true });
  });

  test('may end early by an end token of the model, only where it may end', async () => {
    const [eos] = model.tokenizer.eosIds;
    const { text, summary } = await all(PROMPT, {
      grammar: 'root ::= "ab"+',
      temperature: 0,
      logitBias: new Map([[eos!, 1e6]]),
    });
    expect([text, summary.finishReason, summary.isComplete]).toEqual(['ab', 'eos', true]);
  });

  test('by a stop id too, which then is no part of the text', async () => {
    const id = model.tokenize(' girl', { addSpecial: false })[0]!;
    const options = {
      grammar: 'root ::= " a" [ a-z]*',
      temperature: 0,
      stopIds: [id],
      logitBias: new Map([[id, 1e6]]),
    };
    const { text, summary } = await all(PROMPT, options);
    expect([text, summary.finishReason, summary.isComplete]).toEqual([' a', 'stop', true]);
  });

  test('that is cut by maxTokens or by a stop string is told not to be complete', async () => {
    const grammar = 'root ::= "abcdefgh" "ijkl"?';
    expect((await all(PROMPT, { grammar, maxTokens: 2, temperature: 0 })).summary).toMatchObject({
      finishReason: 'length',
      isComplete: false,
    });
    expect((await all(PROMPT, { grammar, stop: ['e'], temperature: 0 })).summary).toMatchObject({
      finishReason: 'stop',
      isComplete: false,
    });
    const cut = await all(PROMPT, { grammar, stop: ['ij'], temperature: 0, logitBias: new Map([[1, -Infinity]]) });
    expect([cut.text, cut.summary.finishReason, cut.summary.isComplete]).toEqual(['abcdefgh', 'stop', true]);
  });

  test('without one, nothing is told and nothing changes', async () => {
    const { summary, text } = await all(PROMPT, { maxTokens: 9, temperature: 0, grammar: undefined as never });
    expect('isComplete' in summary).toBe(false);
    expect(text).toBe(', there was a little girl named Lily.');
  });

  test('in a session, each text begins anew', async () => {
    using session = model.createSession();
    for (const prompt of [PROMPT, ' and']) {
      let text = '';
      const ids = model.tokenize(prompt, { addSpecial: false });
      for await (const piece of model.generateIn(session, ids, { grammar: 'root ::= " one" | " two"', seed: 1 }))
        text += piece.text;
      expect([' one', ' two']).toContain(text);
    }
  });

  test('many grammars in turn: the oldest is forgotten and comes again', async () => {
    for (const letter of 'abcdefabcdef') {
      expect((await all(PROMPT, { grammar: `root ::= "${letter}!"`, temperature: 0 })).text).toBe(`${letter}!`);
    }
  });
});

test('many texts at once, each in its own form, are what each is alone', async () => {
  const first: GenerateOptions = { schema: SCHEMA, seed: 1 };
  const second: GenerateOptions = { grammar: 'root ::= " " [a-z ]{1,12} "."', seed: 3 };
  const third: GenerateOptions = { maxTokens: 6, temperature: 0 };
  const requests = [
    { ...first, prompt: PROMPT, n: 2 },
    { ...second, prompt: 'The sun' },
    { ...third, prompt: 'A dog' },
  ];
  const texts: Record<string, string> = {};
  for await (const event of model.generateMany(requests)) {
    const key = `${event.index}.${event.sample}`;
    if ('piece' in event) texts[key] = (texts[key] ?? '') + event.piece.text;
    else expect(event).toMatchObject({ summary: event.index < 2 ? { isComplete: true } : { finishReason: 'length' } });
  }
  expect(texts).toEqual({
    '0.0': (await all(PROMPT, first)).text,
    '0.1': (await all(PROMPT, { ...first, seed: 2 })).text,
    '1.0': (await all('The sun', second)).text,
    '2.0': (await all('A dog', third)).text,
  });
});

describe('what cannot be is refused before the prompt is run', () => {
  test.each<[string, GenerateOptions, new (...args: never[]) => Error, string]>([
    ['two forms', { grammar: 'root ::= "a"', schema: true }, ConfigError, 'grammar and schema are both given'],
    [
      'a grammar that is no text',
      { grammar: 5 as never },
      ConfigError,
      'grammar is number, must be the text of a grammar',
    ],
    ['a schema that is none', { schema: 5 as never }, ConfigError, 'schema: # is 5, must be an object or a boolean'],
    [
      'a schema that is a function',
      { schema: (() => 1) as never },
      ConfigError,
      'schema is function, must be an object or a boolean',
    ],
    ['a schema with a cycle', { schema: cyclic() }, ConfigError, 'schema: is no JSON value'],
    [
      'an unknown keyword',
      { schema: { items: { not: {} } } },
      UnsupportedError,
      'schema: #/items: the keyword "not" is not supported',
    ],
    [
      'a grammar with an error',
      { grammar: 'root ::= ' + '"a' },
      FormatError,
      'line 1, column 10: this literal has no end',
    ],
    [
      'a grammar too large',
      { grammar: 'root ::= ("ab" [^"]){99999} ("cd" .){99999} ("ef"){99999} ("abcdefg"){99999} "x"{99999}' },
      CapacityError,
      'more than 400000 nodes',
    ],
  ])('%s', async (_, options, type, message) => {
    const stream = model.generate(PROMPT, options);
    const error = await stream.next().catch((e: unknown) => e);
    expect(error).toBeInstanceOf(type);
    expect((error as Error).message).toContain(message);
  });

  test('a prompt that ends in the middle of a character', async () => {
    const ids = model.tokenize('a 😀', { addSpecial: false });
    const half = ids.slice(0, -1);
    expect(model.detokenize(half)).toContain('\uFFFD');
    await expect(all({ ids: half }, { grammar: 'root ::= "a"' })).rejects.toThrow(
      'the prompt ends in the middle of a character',
    );
    expect((await all({ ids }, { grammar: 'root ::= "a"' })).text).toBe('a');
  });

  test('bans of all that the grammar allows', async () => {
    const logitBias = new Map(Array.from({ length: model.tokenizer.vocabSize }, (_, id) => [id, -Infinity] as const));
    await expect(all(PROMPT, { grammar: 'root ::= "a"', logitBias })).rejects.toThrow(
      'that the grammar allows here; leave at least one',
    );
  });
});

function cyclic(): Record<string, unknown> {
  const schema: Record<string, unknown> = { type: 'object' };
  schema['properties'] = { a: schema };
  return schema;
}
