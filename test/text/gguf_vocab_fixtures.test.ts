import { readFileSync } from 'node:fs';
import { Tokenizer as LibraryTokenizer } from '@huggingface/tokenizers';
import { expect, test } from 'vitest';
import { describeWithFixture, fixture, readFixtureJson } from '../support/fixtures.ts';
import {
  corpusExcerpts,
  EMBEDDED_MODEL,
  folderTokenizer,
  ggufTokenizer,
  HARD_TEXTS,
  readMetadata,
} from './vocabularies.ts';

const SEPARATOR = '\n__ggml_vocab_test__\n';

describeWithFixture('vocab', 'vocabularies of llama.cpp', () => {
  for (const name of ['gpt-2', 'llama-spm', 'bert-bge']) {
    const base = fixture('vocab', `ggml-vocab-${name}.gguf`);
    test(`${name}: all 46 texts give the published ids`, async () => {
      const texts = readFileSync(`${base}.inp`, 'utf8').split(SEPARATOR).slice(0, -1);
      const lines = readFileSync(`${base}.out`, 'utf8').split('\n').slice(0, texts.length);
      expect(texts.length).toBe(46);
      const tokenizer = await ggufTokenizer(base);
      texts.forEach((text, i) => {
        const ids = lines[i]!.split(' ')
          .filter((id) => id !== '')
          .map(Number);
        expect(tokenizer.encode(text, { addSpecial: false }), JSON.stringify(text)).toEqual(ids);
      });
    });
  }
});

describeWithFixture('stories260k', 'stories260k: tokenizer.json and the GGUF vocabulary agree', () => {
  test('on excerpts and hard texts', async () => {
    const folder = folderTokenizer('stories260k');
    const gguf = await ggufTokenizer(fixture('stories260k', 'stories260K-f32.gguf'));
    const texts = [
      ...HARD_TEXTS,
      ...corpusExcerpts('wikitext-2-test.txt', 200, 200),
      ...corpusExcerpts('tinyshakespeare.txt', 200, 200),
    ];
    for (const text of texts) expect(gguf.encode(text), JSON.stringify(text)).toEqual(folder.encode(text));
    expect(gguf.vocabSize).toBe(512);
    expect([gguf.bosId, [...gguf.eosIds], gguf.addBos]).toEqual([1, [2], true]);
    expect([folder.bosId, [...folder.eosIds], folder.addBos]).toEqual([1, [2], true]);
    for (let id = 0; id < 512; id++) {
      expect(gguf.piece(id)).toBe(folder.piece(id));
      expect(gguf.bytes(id)).toEqual(folder.bytes(id));
    }
  });
});

describeWithFixture('tinystories-656k', 'tinystories-656k: tokenizer.json and the GGUF vocabulary agree', () => {
  const golden = () =>
    readFixtureJson<{ prompt: string; prompt_ids: number[]; text: string; f32: { ids: number[] } }>(
      'tinystories-656k',
      'golden.json',
    );

  test('on the golden prompt and its continuation', async () => {
    const { prompt, prompt_ids, text, f32 } = golden();
    for (const tokenizer of [
      folderTokenizer('tinystories-656k'),
      await ggufTokenizer(fixture('tinystories-656k', 'tinystories-656k-f16.gguf')),
    ]) {
      expect(tokenizer.encode(prompt)).toEqual(prompt_ids);
      expect(` ${tokenizer.decode([...prompt_ids, ...f32.ids])}`).toBe(text);
    }
  });

  test("on children's text; characters outside the vocabulary are one unknown token a run", async () => {
    const folder = folderTokenizer('tinystories-656k');
    const gguf = await ggufTokenizer(fixture('tinystories-656k', 'tinystories-656k-f16.gguf'));
    const { text } = golden();
    for (let i = 0; i < text.length; i++) {
      const excerpt = text.slice(i, i + 60);
      expect(gguf.encode(excerpt), excerpt).toEqual(folder.encode(excerpt));
    }
    const unknown = 'the 漢字 cat'; // no byte tokens in this vocabulary
    expect(gguf.encode(unknown)).toEqual(folder.encode(unknown));
    expect(gguf.encode(unknown).filter((id) => id === 0).length).toBe(1);
  });
});

test('the embedded model: the ids of its golden prompt, start and end tokens', async () => {
  const golden = JSON.parse(readFileSync(EMBEDDED_MODEL.replace('model.gguf', 'golden.json'), 'utf8'));
  const tokenizer = await ggufTokenizer(EMBEDDED_MODEL);
  expect(tokenizer.encode(golden.prompt)).toEqual(golden.prompt_ids);
  expect(tokenizer.decode(golden.greedy_ids)).toBe(golden.greedy_text);
  expect(tokenizer.bosId).toBe(0);
  expect(tokenizer.addBos).toBe(true);
  expect(tokenizer.eosIds.has(1)).toBe(true);
  expect(tokenizer.vocabSize).toBe(1024);
  expect((await readMetadata(EMBEDDED_MODEL)).has('tokenizer.chat_template')).toBe(false);
});

describeWithFixture('embedded-lm-f16', 'the embedded model: its Hugging Face folder and its GGUF agree', () => {
  test('on excerpts and hard texts', async () => {
    const folder = folderTokenizer('embedded-lm-f16');
    const gguf = await ggufTokenizer(EMBEDDED_MODEL);
    for (const text of [...HARD_TEXTS, ...corpusExcerpts('wikitext-2-test.txt', 200, 200)]) {
      expect(gguf.encode(text), JSON.stringify(text)).toEqual(folder.encode(text));
    }
  });
});

for (const folder of ['stories260k', 'tinystories-656k', 'embedded-lm-f16']) {
  describeWithFixture(folder, `${folder}: tokenizer.json`, () => {
    test('gives the ids that @huggingface/tokenizers gives', () => {
      const json = readFixtureJson<object>(folder, 'tokenizer.json');
      const library = new LibraryTokenizer(json, readFixtureJson<object>(folder, 'tokenizer_config.json'));
      const ours = folderTokenizer(folder);
      // The library parses special tokens always, and has another idea of white space in U+0085 and U+FEFF.
      const texts = HARD_TEXTS.filter((text) => !/[<\u0085\ufeff]/.test(text) && text !== '');
      for (const text of [...texts, ...corpusExcerpts('wikitext-2-test.txt', 300, 150)].filter(
        (t) => !t.includes('<unk>'),
      )) {
        expect(ours.encode(text), JSON.stringify(text)).toEqual(library.encode(text).ids);
      }
    });
  });
}
