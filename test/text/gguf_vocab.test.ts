import { describe, expect, test } from 'vitest';
import { ConfigError, UnsupportedError } from '../../src/core/errors.ts';
import type { MetaValue } from '../../src/core/metadata.ts';
import { BYTE_TO_CHAR } from '../../src/text/byte_level.ts';
import { ggufVocab } from '../../src/text/gguf_vocab.ts';
import { PRE_TOKENIZERS } from '../../src/text/pre_tokenizers.ts';
import { makeWordCutter } from '../../src/text/text_steps.ts';
import { createTokenizer } from '../../src/text/tokenizer.ts';
import { needObject, optionalArray } from '../../src/text/tokenizer_json.ts';

const strings = (values: readonly (string | Uint8Array)[]): MetaValue => ({ arrayOf: 'string', values });
const i32 = (values: readonly number[]): MetaValue => ({ arrayOf: 'i32', values: Int32Array.from(values) });
const f32 = (values: readonly number[]): MetaValue => ({ arrayOf: 'f32', values: Float32Array.from(values) });

function metadata(entries: Record<string, MetaValue | undefined>): Map<string, MetaValue> {
  const meta = new Map<string, MetaValue>();
  for (const [key, value] of Object.entries(entries)) if (value !== undefined) meta.set(`tokenizer.ggml.${key}`, value);
  return meta;
}

const NORMAL = 1;
const UNKNOWN = 2;
const CONTROL = 3;
const USER_DEFINED = 4;
const BYTE = 6;

/** A byte-level vocabulary: <|bos|>, <|im_end|>, "<t>", then bytes. */
const bpe = (more: Record<string, MetaValue | undefined> = {}) =>
  metadata({
    model: 'gpt2',
    pre: 'gpt-2',
    tokens: strings(['<|bos|>', '<|im_end|>', '<t>', ...BYTE_TO_CHAR, 'aa']),
    token_type: i32([CONTROL, CONTROL, USER_DEFINED, ...BYTE_TO_CHAR.map(() => NORMAL), NORMAL]),
    merges: strings(['a a']),
    bos_token_id: 0,
    ...more,
  });

/** A SentencePiece vocabulary without byte tokens: <unk> <s> </s> ▁ a b ▁a ab "<s" "<" s ">". */
const SPM_TOKENS = ['<unk>', '<s>', '</s>', '▁', 'a', 'b', '▁a', 'ab', '<s', '<', 's', '>'];
const spm = (more: Record<string, MetaValue | undefined> = {}) =>
  metadata({
    model: 'llama',
    tokens: strings(SPM_TOKENS),
    token_type: i32([UNKNOWN, CONTROL, CONTROL, ...SPM_TOKENS.slice(3).map(() => NORMAL)]),
    scores: f32([0, 0, 0, -9, -9, -9, -2, -1, -3, -9, -9, -9]),
    bos_token_id: 1,
    eos_token_id: 2,
    ...more,
  });

const encode = (meta: Map<string, MetaValue>, text: string, options = {}) =>
  createTokenizer(ggufVocab(meta)).encode(text, options);
const plain = { addSpecial: false };

describe('gpt2', () => {
  test('bytes, merges, special and user-defined tokens', () => {
    expect(encode(bpe(), 'aa<t>\n')).toEqual([259, 2, 3 + 10]);
    expect(encode(bpe(), '<|bos|>', { parseSpecial: true })).toEqual([0]);
    expect(encode(bpe(), '<|bos|>').length).toBe(7);
  });

  test('the start token: as the file says, else as the pre-tokenizer has it', () => {
    expect(encode(bpe(), 'a')[0]).not.toBe(0);
    expect(encode(bpe({ add_bos_token: true }), 'a')[0]).toBe(0);
    expect(encode(bpe({ pre: 'llama-bpe' }), 'a')[0]).toBe(0);
    expect(encode(bpe({ pre: 'llama-bpe', add_bos_token: false }), 'a')[0]).not.toBe(0);
    expect(() => createTokenizer(ggufVocab(bpe({ bos_token_id: undefined, add_bos_token: true })))).toThrow(
      ConfigError,
    );
  });

  test('the end of a generation: by key, and by name where the token is a control token', () => {
    expect([...createTokenizer(ggufVocab(bpe({ eos_token_id: 0 }))).eosIds].sort()).toEqual([0, 1]);
    expect([...createTokenizer(ggufVocab(bpe({ eot_token_id: 5 }))).eosIds].sort()).toEqual([1, 5]);
    const noTypes = createTokenizer(ggufVocab(bpe({ token_type: undefined })));
    expect([...noTypes.eosIds]).toEqual([]);
  });

  test('faults are named', () => {
    expect(() => ggufVocab(bpe({ pre: 'no-such-cut' }))).toThrow(/"no-such-cut".*gpt-2/);
    expect(() => ggufVocab(bpe({ pre: 'no-such-cut' }))).toThrow(UnsupportedError);
    expect(() => ggufVocab(bpe({ pre: 'constructor' }))).toThrow(UnsupportedError);
    expect(() => ggufVocab(bpe({ pre: undefined }))).toThrow(/tokenizer.ggml.pre/);
    expect(() => ggufVocab(bpe({ merges: undefined }))).toThrow(/tokenizer.ggml.merges/);
    expect(() => ggufVocab(bpe({ model: 'rwkv' }))).toThrow(UnsupportedError);
    expect(() => ggufVocab(bpe({ model: undefined }))).toThrow(ConfigError);
    expect(() => ggufVocab(bpe({ bos_token_id: 9999 }))).toThrow(/9999/);
    expect(() => ggufVocab(bpe({ token_type: i32([1, 2]) }))).toThrow(/has 2 elements/);
    const twice = ggufVocab(bpe({ tokens: strings(['a', 'a']), token_type: undefined, bos_token_id: undefined }));
    expect(() => createTokenizer(twice)).toThrow(/"a" is at both 0 and 1/);
    expect(() => ggufVocab(bpe({ tokens: strings(['a', Uint8Array.of(0xff)]) }))).toThrow(UnsupportedError);
    expect(() => createTokenizer(ggufVocab(bpe({ merges: strings(['a ?z']) })))).toThrow(ConfigError);
  });

  test('a piece "__proto__" and an empty piece are pieces like others', () => {
    const tokens = strings(['', '__proto__', ...BYTE_TO_CHAR]);
    const t = createTokenizer(
      ggufVocab(bpe({ tokens, token_type: undefined, merges: strings([]), bos_token_id: undefined })),
    );
    expect([t.piece(0), t.piece(1), t.vocabSize]).toEqual(['[EMPTY_0]', '__proto__', 258]);
  });
});

describe('llama', () => {
  test('pieces of highest score first, a mark for each space and one before the text', () => {
    expect(encode(spm(), 'ab')).toEqual([1, 3, 7]);
    expect(encode(spm(), 'a b', plain)).toEqual([6, 3, 5]);
    expect(encode(spm({ add_space_prefix: false }), 'ab a', plain)).toEqual([7, 6]);
    expect(createTokenizer(ggufVocab(spm())).decode([1, 6, 3, 5])).toBe('a b');
    expect(createTokenizer(ggufVocab(spm({ add_space_prefix: false }))).decode([6, 3, 5])).toBe(' a b');
  });

  test('merging never makes a control token, even where its text is two pieces', () => {
    expect(encode(spm(), '<s>', plain)).toEqual([3, 8, 11]);
    expect(encode(spm(), '<s>', { ...plain, parseSpecial: true })).toEqual([1]);
    expect(encode(spm(), '<s>a', { parseSpecial: true })).toEqual([1, 6]);
  });

  test('unknown characters: bytes where the file has all of them, else one unknown token a run', () => {
    expect(encode(spm(), 'a漢字', plain)).toEqual([6, 0]);
    const bytes = Array.from({ length: 256 }, (_, b) => `<0x${b.toString(16).toUpperCase().padStart(2, '0')}>`);
    const withBytes = spm({
      tokens: strings([...SPM_TOKENS, ...bytes]),
      token_type: i32([UNKNOWN, CONTROL, CONTROL, ...SPM_TOKENS.slice(3).map(() => NORMAL), ...bytes.map(() => BYTE)]),
      scores: f32([...SPM_TOKENS, ...bytes].map(() => 0)),
    });
    const utf8 = [...new TextEncoder().encode('漢')].map((b) => SPM_TOKENS.length + b);
    expect(encode(withBytes, '漢', plain)).toEqual([3, ...utf8]);
    expect(createTokenizer(ggufVocab(withBytes)).decode([3, ...utf8])).toBe('漢');
  });

  test("Phi-3's special tokens take the white space after them", () => {
    const phi = (name: Record<string, MetaValue>) => {
      const meta = spm(name);
      return createTokenizer(ggufVocab(meta)).encode('</s>  a', { ...plain, parseSpecial: true });
    };
    expect(phi({ pre: 'phi-3' })).toEqual([2, 6]);
    expect(phi({ pre: 'default' })).toEqual([2, 3, 3, 6]);
    const named = spm().set('general.name', 'Phi 3 mini').set('general.name', 'Phi-3-mini-4k');
    expect(createTokenizer(ggufVocab(named)).encode('</s> a', { ...plain, parseSpecial: true })).toEqual([2, 6]);
  });

  test('faults are named', () => {
    expect(() => ggufVocab(spm({ scores: undefined }))).toThrow(/tokenizer.ggml.scores/);
    expect(() => ggufVocab(spm({ scores: f32([1]) }))).toThrow(/has 1 elements/);
    const nan = SPM_TOKENS.map((_, i) => (i === 5 ? Number.NaN : 0));
    expect(() => ggufVocab(spm({ scores: f32(nan) }))).toThrow(/scores"\[5\] is NaN/);
    expect(() => ggufVocab(spm({ unknown_token_id: 77 }))).toThrow(/77/);
  });

  test('130,000 pieces are read and used at once', () => {
    const n = 130_000;
    const tokens = Array.from({ length: n }, (_, i) => (i < 26 ? String.fromCharCode(97 + i) : `q${i.toString(26)}`));
    const meta = metadata({
      model: 'llama',
      tokens: strings(tokens),
      scores: f32(tokens.map((_, i) => -i)),
      add_bos_token: false,
    });
    expect(createTokenizer(ggufVocab(meta)).vocabSize).toBe(n);
  });
});

describe('bert', () => {
  const tokens = ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '▁un', 'able', '▁!', '[unused0]'];
  const bert = (more: Record<string, MetaValue | undefined> = {}) =>
    metadata({
      model: 'bert',
      tokens: strings(tokens),
      token_type: i32([CONTROL, CONTROL, CONTROL, CONTROL, NORMAL, NORMAL, NORMAL, NORMAL]),
      unknown_token_id: 1,
      cls_token_id: 2,
      seperator_token_id: 3,
      ...more,
    });

  test('pieces change their marks; [CLS] and [SEP] go around', () => {
    const t = createTokenizer(ggufVocab(bert()));
    expect(t.encode('Unable!')).toEqual([2, 4, 5, 6, 3]);
    expect(t.encode('able', plain)).toEqual([1]);
    expect(t.decode([2, 4, 5, 6, 3])).toBe('unable !');
    expect([4, 5, 7].map((id) => t.piece(id))).toEqual([' un', 'able', ' [unused0]']);
    expect([t.bosId, t.addBos, [...t.eosIds]]).toEqual([2, true, [3]]);
  });

  test('an unknown token is needed', () => {
    expect(() => ggufVocab(bert({ unknown_token_id: undefined }))).toThrow(/unknown_token_id/);
  });
});

/** The words of a text as strings, without the bytes' alphabet. */
function wordsOf(pre: string, text: string): string[] {
  const { tokenizerJson } = ggufVocab(bpe({ pre }));
  const sequence = needObject(needObject(tokenizerJson, 'json')['pre_tokenizer'], 'pre');
  const splits = optionalArray(sequence['pretokenizers'], 'list').slice(0, -1);
  return makeWordCutter({ type: 'Sequence', pretokenizers: splits })(text, true);
}

describe('pre-tokenizers cut as their names say', () => {
  const text = "I'LL 12345 he's  two\n\n x!?";
  const cases: Record<string, string[]> = {
    default: ['I', "'", 'LL', ' ', '123', '45', ' he', "'", 's', ' ', ' two', '\n\n', ' x', '!?'],
    'gpt-2': ['I', "'", 'LL', ' 12345', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
    'llama-bpe': ['I', "'LL", ' ', '123', '45', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
    'gpt-4o': ["I'LL", ' ', '123', '45', " he's", ' ', ' two', '\n\n', ' x', '!?'],
    tekken: ['I', "'LL", ' ', '1', '2', '3', '4', '5', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
    'deepseek-v3': ['I', "'LL", ' ', '123', '45', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
    qwen2: ['I', "'LL", ' ', '1', '2', '3', '4', '5', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
    'deepseek-llm': ['I', "'", 'LL', ' ', '12345', ' he', "'", 's', ' ', ' two', '\n', '\n', ' x', '!?'],
    'deepseek-coder': [
      'I',
      "'",
      'LL',
      ' ',
      '1',
      '2',
      '3',
      '4',
      '5',
      ' he',
      "'",
      's',
      ' ',
      ' two',
      '\n',
      '\n',
      ' x',
      '!?',
    ],
    falcon: ['I', "'", 'LL', ' ', '123', '45', ' he', "'", 's', ' ', ' two', '\n\n', ' x', '!?'],
    starcoder: ['I', "'", 'LL', ' ', '1', '2', '3', '4', '5', ' he', "'s", ' ', ' two', '\n\n', ' x', '!?'],
  };
  for (const alias of ['refact', 'command-r', 'smollm']) cases[alias] = cases['starcoder']!;
  for (const alias of ['dbrx', 'smaug-bpe']) cases[alias] = cases['llama-bpe']!;
  cases['mpt'] = cases['gpt-2']!;

  for (const [name, words] of Object.entries(cases)) test(name, () => expect(wordsOf(name, text)).toEqual(words));

  test('gpt-4o: capitals open words, scripts without case do not, a slash may follow what is no letter', () => {
    const words = ['Hello', 'World', ' i', 'Phone', ' HTTP', ' 漢字', ' naïve', ' ://', 'é', '\n'];
    expect(wordsOf('gpt-4o', words.join(''))).toEqual(words);
  });

  test('words join to the text, and long runs of one kind of character are quick, for every name', () => {
    const texts = [
      text,
      'é漢 ١٢٣ \u0085\ufeff\u3000。',
      '   a   ',
      ...[' ', 'a', 'A', '1', '!', '\n', '漢', ' a'].map((unit) => unit.repeat(20_000)),
    ];
    for (const name of Object.keys(PRE_TOKENIZERS)) {
      for (const t of [...texts, `${' '.repeat(20_000)}x`]) expect(wordsOf(name, t).join('')).toBe(t);
    }
  });

  test("White_Space, not JavaScript's \\s", () => {
    expect(wordsOf('gpt-2', 'a\u0085b')).toEqual(['a', '\u0085', 'b']);
    expect(wordsOf('gpt-2', 'a\ufeff!b')).toEqual(['a', '\ufeff!', 'b']);
  });
});
