import fc from 'fast-check';
import { beforeAll, describe, expect, test } from 'vitest';
import { CapacityError, ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import { BYTE_TO_CHAR, byteLevelBytes } from '../../src/text/byte_level.ts';
import { createTokenizer, type Tokenizer } from '../../src/text/tokenizer.ts';
import { describeWithFixture, fixture } from '../support/fixtures.ts';
import { SEARCH } from '../support/mutant_search.ts';
import { roundTrips, texts, textsWithoutSpaceSign } from './round_trips.ts';
import { EMBEDDED_MODEL, ggufTokenizer } from './vocabularies.ts';

/** A small byte-level vocabulary: 256 bytes, one merge, special tokens of every kind. */
const BYTES = Object.fromEntries(BYTE_TO_CHAR.map((char, byte) => [char, byte]));
const special = (id: number, content: string, more: object = {}) => ({
  id,
  content,
  special: true,
  normalized: false,
  ...more,
});

function byteLevel(
  more: { addedTokens?: object[]; config?: object; postProcessor?: object; preTokenizer?: object } = {},
) {
  return createTokenizer({
    tokenizerJson: {
      added_tokens: [
        special(300, '<s>'),
        special(301, '</s>'),
        special(302, '<s>>'),
        { id: 303, content: '<think>', special: false, normalized: false },
        ...(more.addedTokens ?? []),
      ],
      normalizer: null,
      pre_tokenizer: more.preTokenizer ?? { type: 'ByteLevel', add_prefix_space: false, use_regex: true },
      post_processor: more.postProcessor ?? null,
      decoder: { type: 'ByteLevel' },
      model: { type: 'BPE', vocab: { ...BYTES, aa: 256 }, merges: ['a a'] },
    },
    tokenizerConfig: { bos_token: '<s>', eos_token: { content: '</s>' }, ...more.config },
  });
}

const ids = (text: string) => [...new TextEncoder().encode(text)];
const plain = { addSpecial: false };

describe('special tokens in the text', () => {
  test('are text unless asked for; the longest wins; plain added tokens are always one', () => {
    const t = byteLevel();
    expect(t.encode('x<s>y', plain)).toEqual(ids('x<s>y'));
    expect(t.encode('x<s>y', { ...plain, parseSpecial: true })).toEqual([...ids('x'), 300, ...ids('y')]);
    expect(t.encode('<s>></s', { ...plain, parseSpecial: true })).toEqual([302, ...ids('</s')]);
    expect(t.encode('a<think>a', plain)).toEqual([...ids('a'), 303, ...ids('a')]);
    expect([t.isSpecial(300), t.isSpecial(303), t.isSpecial(0)]).toEqual([true, false, false]);
  });

  test('take the white space beside them, and stand alone, when their flags say so', () => {
    const t = byteLevel({
      addedTokens: [
        special(310, '[L]', { lstrip: true }),
        special(311, '[R]', { rstrip: true }),
        special(312, 'word', { single_word: true }),
      ],
    });
    const parsed = (text: string) => t.encode(text, { ...plain, parseSpecial: true });
    expect(parsed('x \n[L] y')).toEqual([...ids('x'), 310, ...ids(' y')]);
    expect(parsed('x [R] \n y')).toEqual([...ids('x '), 311, ...ids('y')]);
    expect(parsed('[R]  [L]')).toEqual([311, 310]);
    expect(parsed('a word-word')).toEqual([...ids('a '), 312, ...ids('-'), 312]);
    expect(parsed('words sword é')).toEqual(ids('words sword é'));
    expect(parsed('𝒜word')).toEqual(ids('𝒜word'));
  });

  test('add nothing to the output, or their text', () => {
    const t = byteLevel();
    expect(t.decode([300, 104, 105, 303, 301])).toBe('hi<think>');
    expect(t.decode([300, 104, 301], { skipSpecial: false })).toBe('<s>h</s>');
    expect(t.bytes(300)).toEqual(new Uint8Array(0));
    expect([t.piece(300), t.piece(104), t.piece(0xe2)]).toEqual(['<s>', 'h', '<0xE2>']);
  });

  test('normalized ones are sought in the normalized text, as Hugging Face does', () => {
    const t = createTokenizer({
      tokenizerJson: {
        added_tokens: [special(1, '<s>', { normalized: true })],
        normalizer: { type: 'Prepend', prepend: '_' },
        decoder: { type: 'Fuse' },
        model: { type: 'BPE', vocab: { '<unk>': 0, _: 2, a: 3, '<': 4, s: 5, '>': 6 }, merges: [], unk_token: '<unk>' },
      },
    });
    expect(t.encode('<s>a', { parseSpecial: true })).toEqual([1, 3]);
    expect(t.encode('a<s>', { parseSpecial: true })).toEqual([2, 3, 4, 5, 6]);
  });
});

describe('start and end tokens', () => {
  const template = {
    type: 'TemplateProcessing',
    single: [
      { SpecialToken: { id: '<s>', type_id: 0 } },
      { Sequence: { id: 'A', type_id: 0 } },
      { SpecialToken: { id: '</s>', type_id: 0 } },
    ],
    special_tokens: { '<s>': { id: '<s>', ids: [300], tokens: ['<s>'] } },
  };

  test('from the post-processor, unless the config says no', () => {
    expect(byteLevel({ postProcessor: template }).encode('a')).toEqual([300, 97, 301]);
    expect(byteLevel({ postProcessor: template }).encode('')).toEqual([300, 301]);
    expect(byteLevel({ postProcessor: template, config: { add_bos_token: false } }).encode('a')).toEqual([97, 301]);
    expect(byteLevel({ config: { add_bos_token: true } }).encode('a')).toEqual([300, 97]);
    expect(
      byteLevel({ postProcessor: { type: 'Sequence', processors: [{ type: 'ByteLevel' }, template] } }).encode('a'),
    ).toEqual([300, 97, 301]);
    expect(
      byteLevel({ postProcessor: { type: 'BertProcessing', cls: ['<s>', 300], sep: ['</s>', 301] } }).encode('a'),
    ).toEqual([300, 97, 301]);
    expect(byteLevel().encode('a')).toEqual([97]);
  });

  test('a text that, parsed, already begins or ends with them gets no second one', () => {
    const t = byteLevel({ postProcessor: template });
    expect(t.encode('<s>a</s>', { parseSpecial: true })).toEqual([300, 97, 301]);
    expect(t.encode('<s><s>a', { parseSpecial: true })).toEqual([300, 300, 97, 301]);
    expect(t.encode('<s>a')).toEqual([300, ...ids('<s>a'), 301]);
  });

  test('which they are: config, overrides, template', () => {
    const t = byteLevel({ postProcessor: template });
    expect([t.bosId, t.addBos, [...t.eosIds], t.vocabSize]).toEqual([300, true, [301], 304]);
    const files = {
      tokenizerJson: { model: { type: 'BPE', vocab: { a: 0, b: 1, c: 2 }, merges: [] }, decoder: { type: 'Fuse' } },
    };
    const bare = createTokenizer(files);
    expect([bare.bosId, bare.addBos, [...bare.eosIds]]).toEqual([null, false, []]);
    const told = createTokenizer(files, { bosId: 1, eosIds: [2, 0], addBos: true });
    expect([told.bosId, told.addBos, [...told.eosIds], told.encode('c')]).toEqual([1, true, [2, 0], [1, 2]]);
    expect(() => createTokenizer(files, { addBos: true })).toThrow(ConfigError);
    expect(() => createTokenizer({ ...files, tokenizerConfig: { eos_token: '</s>' } })).toThrow(
      /"<\/s>".*vocabulary does not have/,
    );
  });
});

/** Characters of a text, or parts that it is put together from. */
const MAX_PARTS = 40;

describe('decode(encode(text)) is the text, lone surrogates as U+FFFD', () => {
  let embedded: Tokenizer;
  beforeAll(async () => {
    embedded = await ggufTokenizer(EMBEDDED_MODEL);
  });

  test('byte-level BPE', () => fc.assert(roundTrips(embedded, texts(MAX_PARTS)), { numRuns: 500 }));

  test('and a decoder that reads each token alone is caught', () => {
    const alone = (i: number[]) => i.map((id) => new TextDecoder().decode(embedded.bytes(id))).join('');
    expect(fc.check(roundTrips(embedded, texts(MAX_PARTS), alone), SEARCH).failed).toBe(true);
  });
});

describeWithFixture('vocab', 'round trips of real vocabularies', () => {
  test('gpt-2', async () => {
    const t = await ggufTokenizer(fixture('vocab', 'ggml-vocab-gpt-2.gguf'));
    fc.assert(roundTrips(t, texts(MAX_PARTS)), { numRuns: 500 });
  });

  test('llama-spm: any text without "▁", which is its own sign for a space', async () => {
    const t = await ggufTokenizer(fixture('vocab', 'ggml-vocab-llama-spm.gguf'));
    fc.assert(roundTrips(t, textsWithoutSpaceSign(MAX_PARTS)), { numRuns: 500 });
    expect(t.decode(t.encode('a▁b'))).toBe('a b');
  });
});

describe('the steps that the library leaves different from the original', () => {
  const words = (preTokenizer: object, text: string) => {
    const t = byteLevel({
      preTokenizer: { type: 'Sequence', pretokenizers: [preTokenizer, { type: 'ByteLevel', use_regex: false }] },
    });
    // Words show where "aa" does not merge; here each case is written with a's.
    return t.encode(text, plain).length;
  };

  test('Digits are numbers of all scripts; Punctuation is cut one by one', () => {
    expect(words({ type: 'Digits', individual_digits: true }, 'aa1aa')).toBe(3);
    expect(words({ type: 'Digits' }, 'a٣a')).toBe(4);
    expect(words({ type: 'Punctuation' }, 'aa!?aa')).toBe(4);
  });

  test('Split: Isolated, Removed, merging with neighbours, inverted', () => {
    const split = (behavior: string, invert = false, pattern: object = { String: 'a' }) =>
      words({ type: 'Split', pattern, behavior, invert }, 'aab');
    expect(split('Isolated')).toBe(3);
    expect(split('Isolated', true)).toBe(3);
    expect(split('Removed')).toBe(1);
    expect(split('Removed', true)).toBe(2);
    expect(split('Removed', false, { Regex: 'a+' })).toBe(1);
    expect(() => split('Removed', false, { Regex: '(a)' })).toThrow(UnsupportedError);
    expect(words({ type: 'Split', pattern: { Regex: '\\s+$' }, behavior: 'Isolated' }, `${' '.repeat(50_000)}a`)).toBe(
      50_001,
    );
    expect(split('MergedWithPrevious')).toBe(3);
    expect(split('MergedWithNext')).toBe(3);
    expect(split('Contiguous')).toBe(2);
    expect(() => split('Contiguous', false, { Regex: '[ab]' })).toThrow(UnsupportedError);
  });

  test('ByteLevel counts U+0085 as white space and U+FEFF not; it can put a space first', () => {
    const aa = (preTokenizer: object, text: string) => byteLevel({ preTokenizer }).encode(text, plain);
    expect(aa({ type: 'ByteLevel', add_prefix_space: true }, 'aa')).toEqual([32, 256]);
    expect(aa({ type: 'ByteLevel', add_prefix_space: true }, ' aa')).toEqual([32, 256]);
    expect(aa({ type: 'ByteLevel', add_prefix_space: false }, 'aa\u0085aa')).toEqual([256, 0xc2, 0x85, 256]);
  });

  test('Metaspace marks the first section, every one, or none, and cuts at the marks', () => {
    const pieces = (scheme: string, text: string) => {
      const t = createTokenizer({
        tokenizerJson: {
          added_tokens: [special(9, '<s>')],
          pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme },
          decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: scheme },
          model: { type: 'BPE', vocab: { '▁': 0, a: 1, '▁a': 2, 'a▁': 3 }, merges: ['a ▁', '▁ a'] },
        },
      });
      return t.encode(text, { parseSpecial: true });
    };
    expect(pieces('always', 'a a<s>a')).toEqual([2, 2, 9, 2]);
    expect(pieces('first', 'a a<s>a')).toEqual([2, 2, 9, 1]);
    expect(pieces('first', '<s>a')).toEqual([9, 1]);
    expect(pieces('never', 'a a<s>a')).toEqual([1, 2, 9, 1]);
  });

  test('normalizers: "$" in a replacement is a dollar, an empty text gets no prefix, sigma stays', () => {
    const t = (normalizer: object) =>
      createTokenizer({
        tokenizerJson: {
          normalizer,
          pre_tokenizer: { type: 'ByteLevel', use_regex: false },
          decoder: { type: 'ByteLevel' },
          model: { type: 'BPE', vocab: BYTES, merges: [] },
        },
      });
    const through = (normalizer: object, text: string) => t(normalizer).decode(t(normalizer).encode(text));
    expect(through({ type: 'Replace', pattern: { String: 'a' }, content: '$&$1' }, 'xa')).toBe('x$&$1');
    expect(through({ type: 'Prepend', prepend: '_' }, '')).toBe('');
    expect(through({ type: 'Lowercase' }, 'ΤΕΛΟΣ İ')).toBe('τελοσ i̇');
    expect(through({ type: 'Sequence', normalizers: [{ type: 'NFD' }, { type: 'StripAccents' }] }, 'é')).toBe('e');
    expect(() => t({ type: 'Nmt' })).toThrow(UnsupportedError);
  });
});

describe('WordPiece', () => {
  const vocab = ['[UNK]', '[CLS]', '[SEP]', 'un', '##aff', '##able', 'able', '漢', '!', 'cafe', '##σ', 'σ', '##1'];
  const bert = (model: object = {}, normalizer: object = {}) =>
    createTokenizer({
      tokenizerJson: {
        added_tokens: [special(0, '[UNK]'), special(1, '[CLS]'), special(2, '[SEP]')],
        normalizer: {
          type: 'BertNormalizer',
          clean_text: true,
          handle_chinese_chars: true,
          strip_accents: null,
          lowercase: true,
          ...normalizer,
        },
        pre_tokenizer: { type: 'BertPreTokenizer' },
        post_processor: { type: 'BertProcessing', sep: ['[SEP]', 2], cls: ['[CLS]', 1] },
        decoder: { type: 'WordPiece', prefix: '##', cleanup: true },
        model: {
          type: 'WordPiece',
          vocab: Object.fromEntries(vocab.map((piece, id) => [piece, id])),
          unk_token: '[UNK]',
          ...model,
        },
      },
    });

  test('the longest piece first; a word with a gap is unknown as a whole', () => {
    expect(bert().encode('Unaffable')).toEqual([1, 3, 4, 5, 2]);
    expect(bert().encode('unable un able!', plain)).toEqual([3, 5, 3, 6, 8]);
    expect(bert().encode('unaffx un', plain)).toEqual([0, 3]);
    expect(bert().decode([1, 3, 4, 5, 6, 8, 2])).toBe('unaffable able !');
  });

  test('accents, case, CJK, control characters', () => {
    expect(bert().encode('CAFÉ cafe\u0301 ca\u0000fe\uFFFD', plain)).toEqual([9, 9, 9]);
    expect(bert().encode('un漢un', plain)).toEqual([3, 7, 3]);
    expect(bert().encode('ΣΣ', plain)).toEqual([11, 10]);
    expect(bert({}, { lowercase: false }).encode('UN', plain)).toEqual([0]);
  });

  test('words too long are unknown, and no length is slow', () => {
    expect(bert({ max_input_chars_per_word: 5 }).encode('unable unaff', plain)).toEqual([0, 3, 4].slice(0, 3));
    expect(bert({ max_input_chars_per_word: 1e9 }).encode(`un${'1'.repeat(500_000)}`, plain).length).toBe(500_001);
    expect(bert().encode(`un${'1'.repeat(500_000)}`, plain)).toEqual([0]);
    expect(() => bert({ unk_token: '<none>' })).toThrow(ConfigError);
  });
});

test('Unigram: the likeliest cut, runs of unknown characters as one', () => {
  const t = createTokenizer({
    tokenizerJson: {
      model: {
        type: 'Unigram',
        unk_id: 0,
        vocab: [
          ['<unk>', 0],
          ['▁', -3],
          ['▁ab', -1],
          ['▁a', -2],
          ['b', -2],
          ['c', -4],
          ['bc', -2],
        ],
      },
      pre_tokenizer: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
      decoder: { type: 'Metaspace', replacement: '▁', prepend_scheme: 'always' },
    },
  });
  expect(t.encode('ab abc')).toEqual([2, 3, 6]);
  expect(t.encode('ab漢字')).toEqual([2, 0]);
  expect(t.decode([2, 3, 6])).toBe('ab abc');
});

describe('faulty input is refused by name', () => {
  const model = { type: 'BPE', vocab: { a: 0 }, merges: [] };
  const build = (tokenizerJson: object) => () => createTokenizer({ tokenizerJson });

  test('files', () => {
    expect(build({})).toThrow(/model is missing/);
    expect(build([] as unknown as object)).toThrow(ConfigError);
    expect(build({ model: { type: 'BPE', vocab: {}, merges: [] } })).toThrow(/empty/);
    expect(build({ model: { ...model, vocab: { a: -1 } } })).toThrow(ConfigError);
    expect(build({ model: { ...model, vocab: { a: 0, b: 0 } } })).toThrow(/both "a" and "b"/);
    expect(build({ model: { ...model, vocab: { a: 1e9 } } })).toThrow(CapacityError);
    expect(build({ model, added_tokens: [{ id: 1 }] })).toThrow(/added_tokens\[0\].content/);
    expect(build({ model, decoder: { type: 'CTC' } })).toThrow(UnsupportedError);
    expect(build({ model, pre_tokenizer: { type: 'UnicodeScripts' } })).toThrow(UnsupportedError);
    expect(build({ model, pre_tokenizer: { type: 'Split', pattern: { Regex: '[' }, behavior: 'Isolated' } })).toThrow(
      UnsupportedError,
    );
    expect(build({ model, post_processor: { type: 'Other' } })).toThrow(ConfigError);
    expect(build({ model: JSON.parse('{"type":"BPE","merges":[],"vocab":{"__proto__":0,"a":1}}') })).not.toThrow();
  });

  test('ids', () => {
    const t = byteLevel();
    for (const id of [-1, 257, 304, 1.5, Number.NaN]) {
      expect(() => t.bytes(id)).toThrow(ConfigError);
      expect(() => t.piece(id)).toThrow(ConfigError);
      expect(() => t.isSpecial(id)).toThrow(ConfigError);
      expect(() => t.decode([0, id])).toThrow(/304 ids/);
    }
  });
});

test("GPT-2's alphabet: 256 characters, one for each byte", () => {
  expect(new Set(BYTE_TO_CHAR).size).toBe(256);
  expect([BYTE_TO_CHAR[0x20], BYTE_TO_CHAR[0x0a], BYTE_TO_CHAR[0x41], BYTE_TO_CHAR[0xad], BYTE_TO_CHAR[0]]).toEqual([
    'Ġ',
    'Ċ',
    'A',
    'Ń',
    'Ā',
  ]);
  expect(byteLevelBytes('Ġhi')).toEqual(Uint8Array.of(0x20, 0x68, 0x69));
  expect(byteLevelBytes('漢')).toEqual(new TextEncoder().encode('漢'));
});
