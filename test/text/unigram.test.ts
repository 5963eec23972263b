import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import {
  BYTE,
  CONTROL,
  goldenMetadata,
  NORMAL,
  type Piece,
  UNIGRAM_GOLDENS,
  UNKNOWN,
  UNUSED,
  USER_DEFINED,
  unigramMetadata,
} from '../support/unigram_cases.ts';

const plain = { addSpecial: false };

describe.each(UNIGRAM_GOLDENS)('$name', (golden) => {
  const { texts, pieces } = golden;
  const show = (ids: readonly number[]): string => ids.map((id) => pieces[id]![0]).join(' ');

  test('from GGUF: the tokens of SentencePiece', () => {
    const tokenizer = createTokenizer(ggufVocab(goldenMetadata(golden)));
    expect(texts.length).toBeGreaterThanOrEqual(90);
    texts.forEach((text, i) => {
      expect(show(tokenizer.encode(text, plain)), JSON.stringify(text)).toBe(show(golden.sentencePiece[i]!));
      expect(tokenizer.encode(text)).toEqual([...golden.sentencePiece[i]!, 1]);
    });
  });

  test.each(golden.huggingFace)("a tokenizer.json of $style: the tokens of Hugging Face's code", ({ json, ids }) => {
    const model = { ...json.model, vocab: pieces.map(([text, score]) => [text, score]) };
    const tokenizer = createTokenizer({ tokenizerJson: { ...json, model } });
    // There the name of a byte is the byte.
    const same = texts.map((text, i) => ({ text, ids: ids[i]! })).filter(({ text }) => !/<0x..>/.test(text));
    expect(same.length).toBeGreaterThan(80);
    for (const { text, ids: expected } of same) {
      const found = tokenizer.encode(text, { ...plain, parseSpecial: true });
      expect(show(found), JSON.stringify(text)).toBe(show(expected));
    }
  });

  test('text is not cut into special tokens unless that is asked for', () => {
    const tokenizer = createTokenizer(ggufVocab(goldenMetadata(golden)));
    const [pad, end] = [tokenizer.encode('<pad>', plain), tokenizer.encode('a</s>', plain)];
    expect([...pad, ...end]).not.toContain(0);
    expect([...pad, ...end]).not.toContain(1);
    expect(tokenizer.encode('a</s>', { ...plain, parseSpecial: true }).at(-1)).toBe(1);
    const model = { type: 'Unigram', unk_id: 2, vocab: pieces.map(([text, score]) => [text, score]) };
    const added = ['<pad>', '</s>', '<unk>'].map((content, id) => ({ id, content, special: true }));
    const folder = createTokenizer({ tokenizerJson: { model, added_tokens: added } });
    expect(folder.encode('a</s>', plain)).not.toContain(1);
    expect(folder.encode('a</s>', { ...plain, parseSpecial: true }).at(-1)).toBe(1);
  });
});

const SPECIAL: readonly Piece[] = [
  ['<pad>', 0, CONTROL],
  ['</s>', 0, CONTROL],
  ['<unk>', 0, UNKNOWN],
];

const withPieces = (pieces: readonly Piece[], more: Record<string, MetaValue | undefined> = {}) =>
  createTokenizer(ggufVocab(unigramMetadata([...SPECIAL, ...pieces], { add_space_prefix: false, ...more })));

describe('the cut', () => {
  type Scored = readonly (readonly [string, number])[];

  /** Of all cuts the highest sum: every one is tried. */
  function bestSum(word: string, pieces: Scored, unknown: number): number {
    if (word === '') return 0;
    const sums = pieces
      .filter(([text]) => word.startsWith(text))
      .map(([text, score]) => score + bestSum(word.slice(text.length), pieces, unknown));
    const char = [...word][0]!;
    if (!pieces.some(([text]) => text === char)) sums.push(unknown + bestSum(word.slice(char.length), pieces, unknown));
    return Math.max(...sums);
  }

  // Scores are small whole numbers, so that sums are exact; letters of one and of two UTF-16 units.
  const letters = fc.constantFrom('a', 'b', 'c', '👍', '👎');
  const piece = fc.array(letters, { minLength: 1, maxLength: 3 }).map((list) => list.join(''));
  const vocabulary = fc
    .uniqueArray(fc.tuple(piece, fc.integer({ min: -12, max: -1 })), {
      selector: ([text]) => text,
      minLength: 1,
      maxLength: 9,
    })
    .map((list): Scored => list);
  const word = fc.array(letters, { minLength: 1, maxLength: 7 }).map((list) => list.join(''));

  const sumOf = (ids: readonly number[], text: string, pieces: Scored, unknown: number): number => {
    // Unknown characters are one token: what known pieces do not spell is theirs.
    const known = ids.filter((id) => id !== 2).map((id) => pieces[id - SPECIAL.length]!);
    const left = [...text].length - known.reduce((n, [spelled]) => n + [...spelled].length, 0);
    return known.reduce((sum, [, score]) => sum + score, 0) + left * unknown;
  };
  const isBest =
    (encode: (text: string, pieces: Scored) => number[]) =>
    (text: string, pieces: Scored): void => {
      const unknown = Math.min(...pieces.map(([, score]) => score)) - 10;
      expect(sumOf(encode(text, pieces), text, pieces, unknown)).toBe(bestSum(text, pieces, unknown));
    };

  test('has the highest sum of all cuts', () => {
    const encode = (text: string, pieces: Scored): number[] =>
      withPieces(pieces.map(([t, score]) => [t, score, NORMAL])).encode(text, plain);
    fc.assert(fc.property(word, vocabulary, isBest(encode)), { numRuns: 300 });
  });

  test('and one that takes the longest piece first is caught', () => {
    const greedy = (text: string, pieces: Scored): number[] => {
      const out: number[] = [];
      for (let at = 0; at < text.length; ) {
        const found = pieces
          .map(([t], i) => ({ t, id: i + SPECIAL.length }))
          .filter(({ t }) => text.startsWith(t, at))
          .sort((a, b) => b.t.length - a.t.length)[0];
        out.push(found?.id ?? 2);
        at += found?.t.length ?? [...text.slice(at)][0]!.length;
      }
      return out;
    };
    expect(fc.check(fc.property(word, vocabulary, isBest(greedy)), { numRuns: 3000, seed: 1 }).failed).toBe(true);
  });

  test('a megabyte without a space is one word (a quadratic search would take hours)', () => {
    const tokenizer = withPieces([
      ['a', -3, NORMAL],
      ['aa', -4, NORMAL],
      ['a'.repeat(8), -5, NORMAL],
    ]);
    expect(tokenizer.encode('a'.repeat(2 ** 20), plain).length).toBe(2 ** 17);
  });

  test('of equal sums the one from further left stays', () => {
    const tokenizer = withPieces([
      ['a', -2, NORMAL],
      ['b', -1, NORMAL],
      ['ab', -2, NORMAL],
      ['bb', -1, NORMAL],
    ]);
    expect(tokenizer.encode('abb', plain)).toEqual([3, 6]);
  });
});

describe('kinds of tokens', () => {
  test('user-defined tokens are cut out of the text; unused and byte tokens come from none', () => {
    const tokenizer = withPieces([
      ['a', -1, NORMAL],
      ['x', -2, NORMAL],
      ['<x>', -1000, USER_DEFINED],
      ['ax', 0, UNUSED],
      ['<0x61>', 0, BYTE],
    ]);
    expect(tokenizer.encode('a<x>ax', plain)).toEqual([3, 5, 3, 4]);
    expect(tokenizer.encode('<0x61>', plain)).not.toContain(7);
  });

  test('characters that are no piece are their bytes where all 256 are there, else one unknown token a run', () => {
    const bytes = Array.from(
      { length: 256 },
      (_, byte): Piece => [`<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`, 0, BYTE],
    );
    const tokenizer = withPieces([['a', -1, NORMAL], ...bytes]);
    expect(tokenizer.encode('aé', plain)).toEqual([3, 4 + 0xc3, 4 + 0xa9]);
    expect(tokenizer.decode([3, 4 + 0xc3, 4 + 0xa9])).toBe('aé');
    expect(withPieces([['a', -1, NORMAL], ...bytes.slice(1)]).encode('aéü', plain)).toEqual([3, 2]);
    // The file calls them normal: they are pieces that text may spell.
    const normal = withPieces([['a', -1, NORMAL], ...bytes.map(([text]): Piece => [text, -1, NORMAL])]);
    expect(normal.encode('aé<0x61>', plain)).toEqual([3, 2, 4 + 0x61]);
  });

  test('a text ends with </s> unless the file says not to', () => {
    const a: Piece = ['a', -1, NORMAL];
    expect(withPieces([a]).encode('a')).toEqual([3, 1]);
    expect(withPieces([a], { add_eos_token: false }).encode('a')).toEqual([3]);
    expect(withPieces([a], { bos_token_id: 0, add_bos_token: true }).encode('a')).toEqual([0, 3, 1]);
    expect([...withPieces([a]).eosIds]).toEqual([1]);
  });
});

describe('faults are named', () => {
  const a: Piece = ['a', -1, NORMAL];
  const build =
    (pieces: readonly Piece[], more: Record<string, MetaValue | undefined> = {}) =>
    () =>
      withPieces(pieces, more);

  test('scores, pieces, ids', () => {
    expect(build([a], { scores: undefined })).toThrow(/scores" is missing, a t5 vocabulary needs it/);
    expect(build([['a', Number.NaN, NORMAL]])).toThrow(/scores"\[3\] is NaN/);
    expect(
      build([
        ['a', -1, NORMAL],
        ['a', -1, NORMAL],
      ]),
    ).toThrow(/both 3 and 4/);
    expect(build([['a'.repeat(1025), -1, NORMAL]])).toThrow(/piece 3 has 1025 characters, expected at most 1024/);
    expect(build([a], { unknown_token_id: 99 })).toThrow(/unknown_token_id" is 99/);
    expect(build([a], { unknown_token_id: 99 })).toThrow(ConfigError);
  });

  test('an unknown character without an unknown token', () => {
    const noUnknown = createTokenizer({ tokenizerJson: { model: { type: 'Unigram', vocab: [['a', -1]] } } });
    expect(noUnknown.encode('a')).toEqual([0]);
    expect(() => noUnknown.encode('b')).toThrow(/"b" is not in the vocabulary/);
  });
});
