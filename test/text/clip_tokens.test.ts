import { expect, test } from 'vitest';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { CLIP_GOLDEN, clipFiles } from '../support/clip_golden.ts';

const FILE = JSON.parse(new TextDecoder().decode(clipFiles('gelu')['tokenizer.json']!));
const tokenizer = createTokenizer({ tokenizerJson: FILE });

test.each(CLIP_GOLDEN.tokens)('$text has the ids of Hugging Face tokenizers', ({ text, ids }) => {
  expect(tokenizer.encode(text)).toEqual(ids);
});

test('the suffix is what tells the end of a word: without it other pieces are found', () => {
  const model = { ...FILE.model, end_of_word_suffix: null };
  const other = createTokenizer({ tokenizerJson: { ...FILE, model } });
  expect(
    CLIP_GOLDEN.tokens.filter(({ text, ids }) => `${other.encode(text)}` === `${ids}`).map(({ text }) => text),
  ).toEqual(['']);
});

test('a word ends in a space where tokens become text again', () => {
  const ids = tokenizer.encode('The  cat\u2019s two BIRDS, Übergröße');
  expect(tokenizer.decode(ids)).toBe('the cat \u2019 s two birds , übergröße ');
  const pieces = tokenizer.encode('the cat').map((id) => tokenizer.piece(id));
  expect(pieces).toEqual(['<|startoftext|>', 'the ', 'cat ', '<|endoftext|>']);
});
