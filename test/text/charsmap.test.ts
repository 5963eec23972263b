import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConfigError } from '../../src/core/errors.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { readCharsmap } from '../../src/text/charsmap.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { precompiledNormalizer, sentencePieceNormalizer } from '../../src/text/sentencepiece.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { CONTROL, NORMAL, UNIGRAM_GOLDENS, UNKNOWN, unigramMetadata } from '../support/unigram_cases.ts';

const A = 0x61;
const LEAF = 1 << 8;
const VALUE = 2 ** 31;
const offset = (n: number): number => n * 2 ** 10;

/** A table of 256 nodes: those given, by index, and what stands behind them. */
function tableOf(nodes: Readonly<Record<number, number>>, replacements = 'b\0', nTrieBytes = 1024): Uint8Array {
  const text = new TextEncoder().encode(replacements);
  const bytes = new Uint8Array(4 + 1024 + text.length);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, nTrieBytes, true);
  for (const [index, unit] of Object.entries(nodes)) view.setUint32(4 + 4 * Number(index), unit, true);
  bytes.set(text, 4 + 1024);
  return bytes;
}

/** "a" -> the text at `place`. The root's children lie at 0x80 and above, that of "a" where its key ends at 2. */
function oneKey(place: number, replacements?: string): Uint8Array {
  const [root, base] = [0x80, 0x02];
  const child = root ^ A;
  return tableOf({ 0: offset(root), [child]: A + LEAF + offset(child ^ base), [base]: VALUE + place }, replacements);
}

describe('a table', () => {
  test('replaces the longest key at each place, from left to right', () => {
    const [golden] = UNIGRAM_GOLDENS;
    const charsmap = readCharsmap(new Uint8Array(Buffer.from(golden!.charsmap, 'base64')));
    expect(charsmap.rewrite('x\uFF76\uFF9E\uFF76y')).toBe('x\u30AC\u30ABy');
    expect(charsmap.rewrite('\u1100\u1161\u11A8\u1100\u1161')).toBe('\uAC01\uAC00');
    expect(charsmap.rewrite('no key\u0001 here')).toBe('no key here');
    expect(charsmap.rewrite('\0\t')).toBe('\0 ');
    expect(charsmap.shortest('\uFF76\uFF9E')).toBe('\u30AB');
    expect(charsmap.shortest('x')).toBe(null);
  });

  test('of one key that was written by hand', () => {
    expect(readCharsmap(oneKey(0)).rewrite('cat')).toBe('cbt');
    expect(readCharsmap(oneKey(2, 'b\0two\0')).rewrite('cat')).toBe('ctwot');
    expect(readCharsmap(oneKey(1)).rewrite('cat')).toBe('ct');
  });

  test('is read from u8 and i8 arrays', () => {
    const bytes = new Uint8Array(Buffer.from(UNIGRAM_GOLDENS[0]!.charsmap, 'base64'));
    const encode = (precompiled_charsmap: MetaValue): number[] =>
      createTokenizer(
        ggufVocab(
          unigramMetadata(
            [
              ['<pad>', 0, CONTROL],
              ['</s>', 0, CONTROL],
              ['<unk>', 0, UNKNOWN],
              ['A', -1, NORMAL],
            ],
            { precompiled_charsmap, add_space_prefix: false },
          ),
        ),
      ).encode('\uFF21');
    expect(encode({ arrayOf: 'u8', values: bytes })).toEqual([3, 1]);
    expect(encode({ arrayOf: 'i8', values: new Int8Array(bytes.buffer) })).toEqual([3, 1]);
    expect(() => encode({ arrayOf: 'f32', values: new Float32Array(4) })).toThrow(/not an array of bytes/);
    expect(() => encode('bytes')).toThrow(ConfigError);
  });
});

describe('a damaged table is refused by name, and costs neither time nor room', () => {
  test.each([
    ['no bytes', new Uint8Array(3), /of 3 bytes says that its trie has 0/],
    ['a trie of no node', tableOf({}, 'b\0', 0), /trie has 0/],
    ['a trie of half a node', tableOf({}, 'b\0', 1022), /trie has 1022/],
    ['a trie of 4 GB', tableOf({}, 'b\0', 2 ** 32 - 4), /trie has 4294967292/],
    ['a trie that is longer than the table', tableOf({}, 'b\0', 1032), /trie has 1032/],
  ])('%s', (_, bytes, message) => {
    expect(() => readCharsmap(bytes)).toThrow(message);
    expect(() => readCharsmap(bytes)).toThrow(ConfigError);
  });

  test.each([
    ['a root that leads outside', tableOf({ 0: offset(2 ** 20) }), /leads to node \d+ of a trie of 256/],
    ['a wide offset', tableOf({ 0: offset(2 ** 20) + (1 << 9) }), /leads to node \d+ of a trie of 256/],
    ['children outside', tableOf({ 0: offset(0x80), [0x80 ^ A]: A + LEAF + offset(2 ** 15) }), /leads to node/],
    ['a replacement outside', oneKey(2), /replacement at byte 1030, behind the end \(1030\)/],
    ['a replacement far outside', oneKey(2 ** 31 - 1), /behind the end/],
    ['a replacement without an end', oneKey(0, 'bbbb'), /does not end within 1024 bytes/],
    ['a replacement of a megabyte', oneKey(0, `${'b'.repeat(2 ** 20)}\0`), /does not end within 1024 bytes/],
    ['a circle', tableOf({ 0: 0, [A]: A + offset(A) }), /has keys of more than 256 bytes/],
  ])('%s', (_, bytes, message) => {
    const charsmap = readCharsmap(bytes);
    expect(() => charsmap.rewrite('a'.repeat(2 ** 20))).toThrow(message);
    expect(() => charsmap.rewrite('a'.repeat(2 ** 20))).toThrow(ConfigError);
  });

  test('in tokenizer.json', () => {
    expect(() => precompiledNormalizer({ precompiled_charsmap: '!' })).toThrow(/not base64/);
    expect(() => precompiledNormalizer({ precompiled_charsmap: 'AAAA' })).toThrow(ConfigError);
    expect(() => sentencePieceNormalizer({ precompiled_charsmap: 'AAAA' })).toThrow(/tokenizer.json has "Precompiled"/);
    expect(precompiledNormalizer({ precompiled_charsmap: null })('\uFF21')).toBe('\uFF21');
  });
});

describe('by graphemes', () => {
  const [golden] = UNIGRAM_GOLDENS;
  const charsmap = readCharsmap(new Uint8Array(Buffer.from(golden!.charsmap, 'base64')));
  const normalize = precompiledNormalizer({ precompiled_charsmap: golden!.charsmap });

  /** As precompiled.rs, all at once. */
  function definition(text: string): string {
    const of = (part: string): string => charsmap.shortest(part) ?? part;
    const rewritten = (cluster: string): string => {
      const whole = new TextEncoder().encode(cluster).length < 6 ? charsmap.shortest(cluster) : null;
      return whole ?? [...cluster].map(of).join('');
    };
    const clusters = new Intl.Segmenter('en', { granularity: 'grapheme' }).segment(text);
    return Array.from(clusters, ({ segment }) => rewritten(segment)).join('');
  }

  test('a text of any length is what it is when it is cut at once', () => {
    const marks = '\u0301'.repeat(700); // one grapheme with what is before it
    const parts = [
      'α',
      '\u0301',
      'e\u0301',
      '漢',
      '🇩',
      '👩',
      '\u200D',
      '\u{1F3FB}',
      '\u{E0061}',
      '\r\n',
      '\r',
      'e',
      '\u1161',
      '가',
    ];
    const texts = fc
      .array(fc.oneof({ weight: 300, arbitrary: fc.constantFrom(...parts) }, fc.constant(marks)), {
        maxLength: 900,
        size: 'max',
      })
      .chain((list) => fc.constant(list.join('')));
    fc.assert(
      fc.property(texts, (text) => normalize(text) === definition(text)),
      { numRuns: 40 },
    );
    for (const start of ['', '漢']) {
      expect(normalize(start + 'e\u0301'.repeat(1000)) === start + 'é'.repeat(1000)).toBe(true);
    }
  });

  test('a text without a break costs no more than its length (a host whose segmenter is quadratic would take minutes)', () => {
    const n = 2 ** 18;
    expect(normalize('漢'.repeat(n)) === '漢'.repeat(n)).toBe(true);
    expect(normalize(`α${'\u0301'.repeat(n)}${'漢'.repeat(n)}`).length).toBe(2 * n + 1);
  });
});

test('a long text is rewritten, by either reading', () => {
  const [golden] = UNIGRAM_GOLDENS;
  const text = 'the \uFF76\uFF9E of e\u0301, '.repeat(2 ** 13);
  const rewritten = 'the \u30AC of \u00E9, '.repeat(2 ** 13);
  const sentencePiece = readCharsmap(new Uint8Array(Buffer.from(golden!.charsmap, 'base64'))).rewrite(text);
  expect(sentencePiece === rewritten).toBe(true);
  // By graphemes, and by their shortest keys.
  const huggingFace = precompiledNormalizer({ precompiled_charsmap: golden!.charsmap })(text);
  expect(huggingFace === 'the \u30AB\uFF9E of \u00E9, '.repeat(2 ** 13)).toBe(true);
});
